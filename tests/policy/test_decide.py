"""Decisions: the same bytes from the same input, and never a verdict out of a failure."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import load_bundle
from policy.decide import MAX_REASONS, Decider, canonical, decision_record
from policy.engines.embedded import EmbeddedEngine
from policy.errors import AnswerError, DocumentError, EvaluationError
from policy.values import AccessRequest, Reason, Verdict
from risk.values import Assessment

GOOD = {"verdict": "deny", "reasons": [{"code": "a.b", "text": "A."}], "obligations": {"x": 1}, "ttl_s": 3}


class Engine:
    """An engine that gives one answer."""

    name = "fixed"
    revision = "r1"

    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self._answer = answer

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def decider() -> Decider:
    return Decider(EmbeddedEngine(load_bundle()))


@pytest.mark.parametrize(
    ("risk", "expected"),
    [(0.0, {"allow"}), (0.3, {"allow"}), (0.59, {"throttle"}), (0.8, {"deny", "isolate"}), (1.0, {"isolate"})],
)
def test_findings_on_the_network(
    decider: Decider,
    make_request: Callable[..., AccessRequest],
    make_assessment: Callable[..., Assessment],
    risk: float,
    expected: set[str],
) -> None:
    assert decider.decide(make_request(), make_assessment(risk)).verdict in expected


def test_what_a_decision_holds(
    decider: Decider, make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment]
) -> None:
    request = make_request()
    decision = decider.decide(request, make_assessment(0.8))
    assert decision.verdict is Verdict.DENY
    assert [reason.code for reason in decision.reasons] == ["risk.high"]
    assert decision.policy_revision == decider.revision == load_bundle().revision
    assert decision.model_revision == "model-1"
    assert (decision.ts, decision.entity) == (request.ts, request.subject.entity)
    assert decision.ttl_s == 30.0
    assert decider.decide(request, None).model_revision == ""


def test_anybody_can_check_a_record(
    decider: Decider, make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment]
) -> None:
    decision = decider.decide(make_request(), make_assessment(0.8))
    record = json.loads(canonical(decision_record(decision)))
    assert hashlib.sha256(canonical(record["input"])).hexdigest() == record["input_digest"] == decision.input_digest
    named = {key: value for key, value in record.items() if key not in {"id", "input"}}
    assert hashlib.sha256(canonical(named)).hexdigest()[:32] == record["id"] == decision.id
    assert record["ts"] == str(decision.ts)


def test_texts_of_reasons_name_nobody(decider: Decider, make_request: Callable[..., AccessRequest]) -> None:
    decision = decider.decide(make_request(), None)
    assert all("192.0.2.7" not in reason.text for reason in decision.reasons)


def test_the_same_input_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    script = tmp_path / "decide.py"
    script.write_text(
        "import sys\n"
        "from policy.bundles import load_bundle\n"
        "from policy.decide import Decider, canonical, decision_record\n"
        "from policy.engines.embedded import EmbeddedEngine\n"
        "from policy.values import AccessRequest, Resource, Subject\n"
        "from risk.values import Assessment, Level\n"
        "from sensors.values import Entity, EntityKind\n"
        "decider = Decider(EmbeddedEngine(load_bundle()))\n"
        "for n in range(200):\n"
        "    entity = Entity(EntityKind.IP, f'192.0.2.{n}')\n"
        "    assessment = Assessment(10**18, entity, n / 200, Level.HIGH, 1 - n / 300, n / 7, 600.0,\n"
        "        ('scan.vertical', 'beacon'), (), {}, 'm')\n"
        "    request = AccessRequest(10**18 + n, Subject(entity), Resource(), 'connect', {'b': '1', 'a': '2'})\n"
        "    sys.stdout.buffer.write(canonical(decision_record(decider.decide(request, assessment))))\n"
    )
    root = str(Path(__file__).parents[2])
    outputs = [
        subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert len(outputs[0]) > 10_000
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "perhaps"},
        {"verdict": None},
        {"verdict": ["allow"]},
        {"reasons": None},
        {"reasons": {}},
        {"reasons": ["a"]},
        {"reasons": [{"code": "a"}]},
        {"reasons": [{"code": 1, "text": "x"}]},
        {"reasons": GOOD["reasons"] * (MAX_REASONS + 1)},  # type: ignore[operator]  # a list among mixed values
        {"obligations": []},
        {"ttl_s": -1},
        {"ttl_s": True},
        {"ttl_s": "5"},
        {"ttl_s": float("inf")},
        {"ttl_s": float("nan")},
        {"ttl_s": None},
    ],
)
def test_an_answer_that_is_no_decision_is_none(
    make_request: Callable[..., AccessRequest], change: dict[str, Any]
) -> None:
    with pytest.raises(AnswerError):
        Decider(Engine({**GOOD, **change})).decide(make_request(), None)


def test_an_answer_with_numbers_that_json_cannot_hold(make_request: Callable[..., AccessRequest]) -> None:
    with pytest.raises(DocumentError):
        Decider(Engine({**GOOD, "obligations": {"x": float("nan")}})).decide(make_request(), None)


def test_a_failing_engine_is_no_verdict(make_request: Callable[..., AccessRequest]) -> None:
    with pytest.raises(EvaluationError):
        Decider(Engine(EvaluationError("broken"))).decide(make_request(), None)


def test_further_fields_of_a_reason_are_left_out(make_request: Callable[..., AccessRequest]) -> None:
    answer = {**GOOD, "reasons": [{"code": "a", "text": "b", "entity": "192.0.2.7"}]}
    decision = Decider(Engine(answer)).decide(make_request(), None)
    assert decision.reasons == (Reason("a", "b"),)
    assert decision.obligations == {"x": 1}


@pytest.mark.parametrize("changes", [{"risk": float("nan")}, {"confidence": float("inf")}])
def test_a_request_without_a_document(
    decider: Decider,
    make_request: Callable[..., AccessRequest],
    make_assessment: Callable[..., Assessment],
    changes: dict[str, float],
) -> None:
    with pytest.raises(DocumentError):
        decider.decide(make_request(), make_assessment(**{"risk": 0.5, **changes}))
    with pytest.raises(DocumentError):
        decider.decide(make_request(ts=10**30), None)
