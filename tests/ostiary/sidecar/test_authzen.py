"""AuthZEN at a real gate."""

import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

Make = Callable[..., Any]
QUESTION: dict[str, Any] = {
    "subject": {"type": "ip", "id": "192.0.2.66"},
    "action": {"name": "GET"},
    "resource": {"type": "http", "id": "/shop/cart"},
    "context": {"network": "office"},
}


def until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.02)


def post(port: int, body: bytes, method: str = "POST") -> tuple[int, dict[str, str], Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, "/access/v1/evaluation", body, {"X-Request-ID": "r-17"})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())


@pytest.fixture
def gate(fed_gate: Make) -> Any:
    return fed_gate('[gate.routes."/shop"]\nmode = "enforce"\n', {"192.0.2.66": 0.85})


def test_a_question_is_decided_by_route_risk_and_policy(gate: Any) -> None:
    status, headers, answer = post(gate.port, json.dumps(QUESTION).encode())
    assert (status, headers["x-request-id"], headers["content-type"]) == (200, "r-17", "application/json")
    assert (answer["decision"], answer["context"]["verdict"], answer["context"]["enforced"]) == (False, "deny", True)
    assert list(answer["context"]["reason_user"]) == ["risk.high"]
    observed = {**QUESTION, "resource": {"type": "http", "id": "/elsewhere"}}
    answer = post(gate.port, json.dumps(observed).encode())[2]
    assert (answer["decision"], answer["context"]["verdict"], answer["context"]["enforced"]) == (True, "deny", False)
    other = {
        **QUESTION,
        "subject": {"type": "user", "id": "alice", "properties": {"identity": "alice", "proof": "token"}},
    }
    assert post(gate.port, json.dumps(other).encode())[2]["decision"] is True
    until(lambda: len(gate.taken) == 3, "the records")
    first, _, third = gate.taken
    assert (first.document["environment"]["network"], first.document["resource"]["name"]) == ("office", "/shop/cart")
    assert (third.document["subject"]["kind"], third.document["subject"]["identity"]) == ("user", "alice")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "authzen.json"),
        (b'{"subject": 1}', "authzen.resource"),
        (b"x" * 70_000, "authzen.size"),
        (b"x" * 200_000, ""),
    ],
)
def test_what_cannot_be_read_is_said(gate: Any, body: bytes, code: str) -> None:
    if not code:  # more than a page reads: the connection ends
        with pytest.raises((OSError, http.client.HTTPException)):
            post(gate.port, body)
        return
    status, _, answer = post(gate.port, body)
    assert (status, answer["error"]) == (400, code)


def test_other_methods_and_the_count(gate: Any) -> None:
    assert post(gate.port, b"", "GET")[0] == 405
    post(gate.port, json.dumps(QUESTION).encode())
    assert 'ostiary_gate_questions_total{gateway="authzen"} 1.0' in gate.page("/metrics")[1]


def test_without_a_policy_it_answers_as_declared(fed_gate: Make) -> None:
    gate = fed_gate('mode = "enforce"\n[gate.routes."/open"]\nfailure = "open"\n', start=False)
    gate.start(ready=False)
    until(lambda: "answers on" in gate.log(), "an answering gate")
    for place, decision in (("/shop", False), ("/open", True)):
        answer = post(gate.port, json.dumps({**QUESTION, "resource": {"type": "http", "id": place}}).encode())[2]
        assert answer == {"decision": decision, "context": {"error": "policy.unavailable", "enforced": True}}
