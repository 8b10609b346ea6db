"""Real OPA is the judge: the embedded engine answers exactly as it does."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import SHIPPED, Bundle, load_bundle
from policy.engines.embedded import EmbeddedEngine
from policy.engines.opa import OpaEngine
from policy.engines.opa_link import OpaServer
from policy.generate import documents
from policy.opa import Opa

INPUTS, OVER_HTTP = 4_000, 300


@pytest.fixture(scope="module", params=["shipped", "lively"])
def bundle(request: pytest.FixtureRequest, lively_bundle: Path) -> Bundle:
    return load_bundle(SHIPPED if request.param == "shipped" else lively_bundle)


@pytest.mark.server
def test_generated_inputs(bundle: Bundle, opa: str) -> None:
    engine, questions = EmbeddedEngine(bundle), list(documents(bundle, INPUTS))
    ours = [engine.evaluate(question) for question in questions]
    with Opa.holding(opa, bundle) as real:
        theirs = real.answers("data.ostiary.decision", questions)
    assert [pair for pair in zip(questions, ours, theirs, strict=True) if pair[1] != pair[2]] == []


@pytest.mark.server
def test_generated_inputs_over_http(bundle: Bundle, serve_opa: Callable[..., str]) -> None:
    engine = EmbeddedEngine(bundle)
    opa = OpaEngine(OpaServer(serve_opa("-b", str(bundle.path))), bundle, timeout_s=10)
    for question in documents(bundle, OVER_HTTP):
        assert opa.evaluate(question) == engine.evaluate(question), question
    opa.close()


def test_the_inputs_reach_every_verdict_and_every_reason(lively_bundle: Path) -> None:
    bundle = load_bundle(lively_bundle)
    engine = EmbeddedEngine(bundle)
    answers = [engine.evaluate(question) for question in documents(bundle, INPUTS)]
    assert {answer["verdict"] for answer in answers} == {"allow", "throttle", "step_up", "deny", "isolate"}
    codes = {reason["code"] for answer in answers for reason in answer["reasons"]}
    assert set(bundle.data["ostiary"]["config"]["texts"]) - codes == {"policy.undefined"}


def _cases(vectors: Path) -> list[dict[str, Any]]:
    cases = json.loads((vectors / "decisions.json").read_text())
    assert len(cases) >= 30
    return list(cases)


def _expected(case: Mapping[str, Any]) -> dict[str, Any]:
    texts = load_bundle().data["ostiary"]["config"]["texts"]
    return {
        "verdict": case["verdict"],
        "reasons": [{"code": code, "text": texts[code]} for code in case["reasons"]],
        "obligations": case["obligations"],
        "ttl_s": case["ttl_s"],
    }


def test_the_embedded_engine_on_our_own_cases(vectors: Path) -> None:
    engine = EmbeddedEngine(load_bundle())
    for case in _cases(vectors):
        assert engine.evaluate(case["input"]) == _expected(case), case["name"]


@pytest.mark.server
def test_real_opa_on_our_own_cases(vectors: Path, serve_opa: Callable[..., str]) -> None:
    engine = OpaEngine(OpaServer(serve_opa("-b", str(SHIPPED))), load_bundle(), timeout_s=10)
    for case in _cases(vectors):
        assert engine.evaluate(case["input"]) == _expected(case), case["name"]
    engine.close()


@pytest.mark.server
@pytest.mark.parametrize(
    "command",
    [
        ["check", "--strict", "-b", str(SHIPPED)],
        ["check", "--strict", "-b", "-s", str(SHIPPED.parent / "schema" / "input.schema.json"), str(SHIPPED)],
        ["fmt", "--fail", "--list", str(SHIPPED)],
        ["test", "-b", str(SHIPPED)],
    ],
    ids=["check", "check-schema", "fmt", "test"],
)
def test_the_bundle_by_opas_own_tools(opa: str, command: list[str]) -> None:
    done = subprocess.run([opa, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.server
def test_every_rule_is_covered_by_the_rego_tests(opa: str) -> None:
    done = subprocess.run([opa, "test", "--coverage", str(SHIPPED)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert {path: part["not_covered"] for path, part in report["files"].items() if part.get("not_covered")} == {}
