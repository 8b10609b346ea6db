"""The rules that are named are those that held, and the changes that are named change the answer."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.bundles import Bundle, load_bundle
from policy.engines.embedded import EmbeddedEngine
from policy.errors import PolicyError
from policy.explain import CHOICES, MAX_EVALUATIONS, STEPS, counterfactuals, fired

SHIPPED = load_bundle()


def document(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "version": 1,
        "subject": {"kind": "ip", "id": "192.0.2.7", "identity": "", "proof": "none", "device": "unknown"},
        "resource": {"kind": "http", "name": "/a/", "sensitivity": "normal"},
        "action": "GET",
        "environment": {"time": "2026-01-01T12:00:00Z", "facts": {}},
        "risk": {
            "state": "known", "risk": 0.83, "level": "high", "confidence": 0.9, "age_s": 1, "reasons": [],
            "model_revision": "m",
        },
    }  # fmt: skip
    for path, value in changes.items():
        part, name = path.split("__")
        made[part][name] = value
    return made


def bundle(text: str, data: Mapping[str, Any] | None = None) -> Bundle:
    return Bundle(SHIPPED.path, {"a.rego": text}, data or {}, {}, "r")


def says(text: str, values: Mapping[str, Any] | None = None) -> list[str]:
    engine = EmbeddedEngine(bundle(text))
    return [other.say() for other in counterfactuals(engine, document(**(values or {})))]


def test_the_rules_of_the_shipped_bundle_that_held() -> None:
    found = fired(SHIPPED, document(subject__device="unmanaged", resource__sensitivity="sensitive"))
    heads = [rule.head for rule in found if rule.rule == "ostiary.proposals"]
    assert len(heads) == 3
    assert any("device.unmanaged" in head for head in heads)
    for rule in found:
        line = SHIPPED.modules[rule.file].splitlines()[rule.line - 1]
        assert rule.head.split()[0] in line
    (device,) = (rule for rule in found if "device.unmanaged" in rule.head)
    assert device.comment.startswith("NIST SP 800-207 tenet 5: the posture of the device counts.")
    calm = fired(SHIPPED, document(risk__risk=0.01))
    assert [rule.head for rule in calm if "proposals" in rule.rule] == [
        'proposals contains {"code": concat(".", ["risk", band]), "verdict": risk_verdict}'
    ]


TRICKY = """package ostiary

import data.ostiary.words as w

# Ärger: the first of
# two lines.
a if input.action == "é"

a if { input.action == "GET" } # the second

b := 1 if input.action == "" else := 2 if input.risk.risk > 0.5 else := 3

c contains x if some x in ["é", `y`]

d[x] := 1 if { x := input.action; "é" != x }
default e := false
f(x) if x > 1
g := 4
decision := {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": 1}
"""


def test_each_form_of_a_rule() -> None:
    found = [(rule.rule, rule.line) for rule in fired(bundle(TRICKY), document())]
    assert found == [("ostiary.a", 9), ("ostiary.b", 11), ("ostiary.c", 13), ("ostiary.d", 15)]
    (first,) = (rule for rule in fired(bundle(TRICKY), {**document(), "action": "é"}) if rule.rule == "ostiary.a")
    assert (first.line, first.comment) == (7, "Ärger: the first of two lines.")


def test_a_bundle_that_does_not_parse_is_a_typed_error() -> None:
    with pytest.raises(PolicyError):
        fired(bundle("package ostiary\na if {"), document())


ANSWER = 'decision := {"verdict": verdict, "reasons": [], "obligations": {}, "ttl_s": 1}\n'


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ('verdict := "allow" if input.subject.device == "managed"', {}, ["allow if subject.device is managed"]),
        ('verdict := "allow" if input.risk.risk < 0.7', {}, ["allow if risk.risk is below 0.7"]),
        ('verdict := "allow" if input.risk.risk >= 0.9031', {}, ["allow if risk.risk is 0.9031 or more"]),
        ('verdict := "allow" if input.risk.confidence <= 0', {}, ["allow if risk.confidence is below 0.0001"]),
        (
            'verdict := "allow" if { input.subject.device == "managed"; input.subject.proof == "token" }', {},
            ["allow if subject.device is managed and subject.proof is token"],
        ),
        (
            'verdict := "allow" if { input.subject.device == "managed"; input.risk.risk < 0.5 }', {},
            ["allow if subject.device is managed and risk.risk is below 0.5"],
        ),
        ('verdict := "allow" if input.subject.id == "192.0.2.8"', {}, []),
        ('verdict := "allow" if input.risk.risk < 0.7', {"risk__risk": 0.2}, ["deny if risk.risk is 0.7 or more"]),
    ],
)  # fmt: skip
def test_the_smallest_change_is_found(rule: str, values: Mapping[str, Any], expected: list[str]) -> None:
    assert says(f'package ostiary\ndefault verdict := "deny"\n{rule}\n{ANSWER}', values) == expected


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.sampled_from(["http", "network"]), st.sampled_from(["public", "normal", "sensitive"]), st.integers(0, STEPS),
    st.integers(0, STEPS), st.sampled_from(CHOICES["subject", "device"]), st.sampled_from(CHOICES["subject", "proof"]),
)  # fmt: skip
def test_each_change_gives_the_verdict_that_it_names(
    kind: str, sensitivity: str, risk: int, confidence: int, device: str, proof: str
) -> None:
    asked = document(
        resource__kind=kind, resource__sensitivity=sensitivity, risk__risk=risk / STEPS,
        risk__confidence=confidence / STEPS, subject__device=device, subject__proof=proof,
    )  # fmt: skip
    engine = EmbeddedEngine(SHIPPED)
    now = engine.evaluate(asked)["verdict"]
    found = counterfactuals(engine, asked)
    assert now not in {other.verdict for other in found}
    for other in found:
        changed = json.loads(json.dumps(asked))
        for change in other.changes:
            changed[change.path[0]][change.path[1]] = change.value
        assert engine.evaluate(changed)["verdict"] == other.verdict, other.say()
        if len(other.changes) == 2:  # neither of the two is enough
            for change in other.changes:
                one = json.loads(json.dumps(asked))
                one[change.path[0]][change.path[1]] = change.value
                assert engine.evaluate(one)["verdict"] != other.verdict


def test_nothing_known_of_the_risk_is_no_error() -> None:
    asked = {**document(resource__sensitivity="sensitive"), "risk": {"state": "missing"}}
    assert counterfactuals(EmbeddedEngine(SHIPPED), asked)[0].verdict == "allow"


def test_the_search_ends_whatever_the_policy() -> None:
    asked: list[int] = []

    class Flickering:
        name, revision = "flickering", "r"

        def evaluate(self, given_: Mapping[str, Any]) -> Mapping[str, Any]:
            asked.append(1)
            verdict = "deny" if len(asked) == 1 else "perhaps"
            return {"verdict": verdict, "reasons": [], "obligations": {}, "ttl_s": 1}

    assert counterfactuals(Flickering(), document()) == ()
    assert len(asked) <= MAX_EVALUATIONS + 1


def test_no_verdict_at_all_is_a_typed_error() -> None:
    with pytest.raises(PolicyError):
        counterfactuals(EmbeddedEngine(bundle("package ostiary\ndecision := {} if input.x == 1\n")), document())
