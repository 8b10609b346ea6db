"""AuthZEN: the question as the standard has it, the decision and its reasons in the answer."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.authzen import MAX_BYTES, read_question, write_answer
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.errors import DialectError
from policy.values import AccessRequest, Resource, Subject
from sensors.entities import Entity, EntityKind

NOW = 1_764_000_000_123_456_789
QUESTION: dict[str, Any] = {
    "subject": {
        "type": "user", "id": "alice",
        "properties": {
            "identity": "alice", "proof": "mtls", "device": "managed", "posture": "good", "groups": ["staff"],
            "session_age_s": 61, "shoe": 43,
        },
    },
    "action": {"name": "GET"},
    "resource": {"type": "http", "id": "/shop/", "properties": {"owner": "bob"}},
    "context": {"network": "office", "place": "DE", "gateway": "envoy", "attempt": 2},
}  # fmt: skip


def test_every_field_is_read() -> None:
    subject = Subject(Entity(EntityKind.USER, "alice"), "alice", "mtls", True, "good", ("staff",), 61)
    assert read_question(json.dumps(QUESTION).encode(), NOW, "sensitive") == AccessRequest(
        NOW, subject, Resource("http", "/shop/", "sensitive", "bob"), "GET", {"gateway": "envoy"}, "office", "DE"
    )


def test_the_least_that_is_a_question() -> None:
    least = {
        "subject": {"type": "ip", "id": "::ffff:192.0.2.7"}, "action": {"name": "connect"},
        "resource": {"type": "network", "id": "any"},
    }  # fmt: skip
    found = read_question(json.dumps(least).encode(), NOW)
    assert found == AccessRequest(NOW, Subject(Entity(EntityKind.IP, "192.0.2.7")), Resource(name="any"))


@pytest.mark.parametrize(("risk", "sensitivity", "decision"), [(None, "normal", True), (None, "sensitive", False)])
def test_the_answer(risk: None, sensitivity: str, decision: bool) -> None:
    question = {**QUESTION, "subject": {"type": "user", "id": "alice"}}
    decided = Decider(EmbeddedEngine(load_bundle())).decide(
        read_question(json.dumps(question).encode(), NOW, sensitivity), risk
    )
    answer = write_answer(decided)
    assert answer["decision"] is decision
    assert answer["context"]["id"] == decided.id
    assert list(answer["context"]["reason_user"]) == [reason.code for reason in decided.reasons]
    assert json.loads(json.dumps(answer)) == answer


def _with(*path: Any) -> dict[str, Any]:
    *keys, value = path
    changed: dict[str, Any] = json.loads(json.dumps(QUESTION))
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ([], "authzen.json"),
        (_with("subject", []), "authzen.subject"),
        (_with("subject", "type", "ghost"), "authzen.subject"),
        (_with("subject", "type", "ip"), "authzen.subject"),
        (_with("subject", "id", ""), "authzen.id"),
        (_with("subject", "id", 7), "authzen.id"),
        (_with("subject", "properties", "proof", "oath"), "authzen.proof"),
        (_with("subject", "properties", "groups", "staff"), "authzen.subject"),
        (_with("subject", "properties", "groups", [7]), "authzen.groups"),
        (_with("subject", "properties", "session_age_s", -1), "authzen.subject"),
        (_with("subject", "properties", "session_age_s", True), "authzen.subject"),
        (_with("action", {}), "authzen.name"),
        (_with("resource", "type", "pipe"), "authzen.type"),
        (_with("context", "place", 5), "authzen.place"),
        (_with("context", {str(number): "x" for number in range(100)}), "authzen.context"),
    ],
)
def test_what_cannot_be_read_has_a_code(question: Any, code: str) -> None:
    with pytest.raises(DialectError) as caught:
        read_question(json.dumps(question).encode(), NOW)
    assert caught.value.code == code


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000, b" " * (MAX_BYTES + 1)])
def test_bytes_that_are_no_question(body: bytes) -> None:
    with pytest.raises(DialectError):
        read_question(body, NOW)


@given(
    body=st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
@settings(max_examples=200, deadline=None)
def test_noise_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(DialectError):
        read_question(body, NOW)
