"""What another policy would have said: counted right, whole or in parts, and within bounds."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import EvaluationError
from policy.values import Verdict
from policy.whatif import EXAMPLES, MAX_KEYS, REST, UNDECIDED, Past, WhatIf, compare

VERDICTS = [verdict.value for verdict in Verdict]


class Echo:
    """Answers what the document's action says, or fails."""

    def evaluate_json(self, question: str) -> Mapping[str, Any]:
        document = json.loads(question)
        if document["action"] == UNDECIDED:
            raise EvaluationError("it fails")
        reasons = [{"code": f"say.{document['action']}", "text": ""}]
        return {"verdict": document["action"], "reasons": reasons, "obligations": {}, "ttl_s": 1}


def past(number: int, before: str, after: str, who: str = "192.0.2.7", plain: bool = False) -> Past:
    document = {
        "subject": {"kind": "ip", "id": who},
        "resource": {"kind": "http", "name": f"/{number % 3}/"},
        "action": after,
    }
    return Past(f"{number:032x}", f"ip-{who}", before, json.dumps(document), plain)


def test_denied_and_allowed_anew_are_told_apart_from_other_changes() -> None:
    found = compare(
        Echo(),
        [
            past(0, "allow", "deny", "192.0.2.7", True), past(3, "throttle", "isolate", "192.0.2.7", True),
            past(1, "allow", "deny", "2001:db8:1::9", True), past(2, "deny", "step_up"), past(4, "deny", "isolate"),
            past(5, "allow", "allow"), past(6, "allow", UNDECIDED), past(7, "isolate", UNDECIDED),
        ],
    )  # fmt: skip
    assert found.decisions == 8
    assert found.newly_denied.decisions == 4
    assert found.newly_denied.people == {"ip-192.0.2.7", "ip-2001:db8:1::9"}
    assert found.newly_denied.routes == {"http /0/": 3, "http /1/": 1}
    assert found.newly_denied.networks == {"192.0.2.0/24": 2, "2001:db8:1::/48": 1}
    assert found.newly_denied.reasons == {"say.deny": 2, "say.isolate": 1, "policy.evaluation": 1}
    assert [example.after for example in found.newly_denied.examples] == ["deny", "isolate", "deny", UNDECIDED]
    assert found.newly_allowed.decisions == 1
    assert found.newly_allowed.networks == {}, "the networks of pseudonyms are not known"
    assert found.failed == {"policy.evaluation": 2}
    assert found.changes["deny", "isolate"] == 1
    assert sum(found.changes.values()) == 7


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from([*VERDICTS, UNDECIDED]), st.integers(0, 3))),
    st.integers(0, 40),
)
def test_parts_add_up_to_the_whole(rows: list[tuple[str, str, int]], cut: int) -> None:
    history = [past(number, before, after, f"192.0.{who}.1", True) for number, (before, after, who) in enumerate(rows)]
    parts = WhatIf()
    for part in (history[:cut], history[cut:]):
        parts.merge(compare(Echo(), part))
    assert parts == compare(Echo(), history)


def test_a_long_history_is_counted_and_kept_within_bounds() -> None:
    many = MAX_KEYS + 50
    found = compare(Echo(), (past(number, "allow", "deny", f"host-{number}") for number in range(many)))
    found.merge(compare(Echo(), [past(1, "allow", "deny", "another")]))
    group = found.newly_denied
    assert len(group.examples) == EXAMPLES
    assert len(group.entities) == MAX_KEYS + 1
    assert group.entities[REST] == 51
    assert len(group.people) == many + 1
    assert group.decisions == many + 1


def test_an_answer_that_is_no_decision_is_a_failure() -> None:
    class Nonsense(Echo):
        def evaluate_json(self, question: str) -> Mapping[str, Any]:
            return {"verdict": "perhaps"}

    assert compare(Nonsense(), [past(1, "allow", "allow")]).failed == {"policy.answer": 1}


def test_a_damaged_record_is_a_failure_and_ends_nothing() -> None:
    from policy.bundles import load_bundle
    from policy.engines.embedded import EmbeddedEngine

    damaged = [Past("1", "ip-x", "allow", text, plain=True) for text in ("", "{", "[]", "[" * 100_000)]
    found = compare(EmbeddedEngine(load_bundle()), damaged)
    assert found.decisions == 4
    assert found.newly_denied.decisions == 4
