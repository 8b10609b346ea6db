"""The judge: says what is wrong with a bundle, and is not brought down by one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from policy import judge as judging
from policy import opa as opa_program
from policy.bundles import SHIPPED, Bundle, load_bundle, make_bundle
from policy.engines.embedded import EmbeddedEngine
from policy.engines.opa import OpaEngine
from policy.engines.opa_link import OpaServer
from policy.errors import AnswerError, EngineUnavailableError, EvaluationError, JudgementError, PolicyError
from policy.generate import documents
from policy.judge import judge, judge_apart
from policy.opa import UNDEFINED, Opa
from policy.opa_server import JudgingServer
from policy.trials import run_tests

BUNDLES = ("roles", "networks", "posture", "paths", "budgets")
INPUTS = 20_000


LOOP = """xs := numbers.range(0, 3000)

decision := {"verdict": "allow", "reasons": [], "ttl_s": 1, "obligations": {"found": found}}

found := count([1 | some x in xs; some y in xs; x + y == 7])"""


def changed(name: str, old: str, new: str) -> Bundle:
    files = dict(load_bundle().files)
    text = files[name].decode()
    assert old in text
    files[name] = text.replace(old, new).encode()
    return make_bundle(files, SHIPPED)


def plain(rego: str) -> Bundle:
    return make_bundle({"a.rego": f"package ostiary\n\n{rego}\n".encode()}, Path())


LATE = plain(
    'hour := to_number(substring(input.environment.time, 11, 2))\n\n'
    'default late := "deny"\n\nlate := "allow" if hour < 7\n\n'
    'decision := {"verdict": late, "reasons": [], "obligations": {}, "ttl_s": 1}'
)  # fmt: skip


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("name", ["shipped", *BUNDLES])
def test_both_engines_agree_on_generated_inputs(vectors: Path, opa: str, name: str, soak: int) -> None:
    bundle = load_bundle("" if name == "shipped" else vectors / "bundles" / name)
    found = judge(bundle, opa=opa, made=(INPUTS // 6 + 1) * min(soak, 5))
    assert found.ok, found.problems
    assert found.opa and found.inputs * 6 >= INPUTS


@pytest.mark.parametrize("name", BUNDLES)
def test_generated_inputs_reach_several_answers(vectors: Path, name: str) -> None:
    bundle = load_bundle(vectors / "bundles" / name)
    engine = EmbeddedEngine(bundle)
    answers = [judging._answer(engine, question) for question in documents(bundle, 1_000)]
    verdicts = {answer["verdict"] for answer in answers if answer != UNDEFINED}
    assert len(verdicts) >= 2
    assert list(documents(bundle, 50)) == list(documents(bundle, 50))


def test_a_good_bundle_passes() -> None:
    found = judge(load_bundle(), recorded=[{"version": 1}], made=100)
    assert found.ok and found.tests >= 28 and found.inputs == 101 and not found.opa


@pytest.mark.parametrize(
    ("bundle", "word"),
    [
        (plain("decision := {"), "error"),
        (plain("p := 1"), "entrypoint"),
        (plain('decision := {"verdict": "perhaps", "reasons": [], "obligations": {}, "ttl_s": 1}'), "no known verdict"),
        (plain('decision := {"verdict": "deny"} if input.action == "\U0001f600"'), "undefined"),
        (plain("decision := 7"), "not an object"),
        (plain(LOOP), "limit"),
        (plain('decision := {"verdict": http.send({})}'), "http.send"),
        (changed("data.json", '"at_least": 0.7', '"at_least": 0.85'), "risk_test.rego"),
    ],
    ids=[
        "unparsable",
        "no entry point",
        "no verdict",
        "mostly undefined",
        "no object",
        "loop",
        "network",
        "its own tests",
    ],
)
def test_what_speaks_against_a_bundle_is_said(bundle: Bundle, word: str) -> None:
    found = judge(bundle, made=50)
    assert not found.ok
    assert any(word in problem for problem in found.problems), found.problems


def test_a_slow_bundle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "DECISION_S", 1e-9)
    assert any("a decision takes" in problem for problem in judge(load_bundle(), made=5).problems)


def test_what_takes_too_long_is_given_up() -> None:
    with pytest.raises(JudgementError, match="could not be judged within"):
        judge_apart(load_bundle(), made=100_000, timeout_s=0.05)


def test_a_bundle_that_would_take_all_memory_is_refused() -> None:
    doubling = "\n\n".join(f'f{n} := concat("", [f{n - 1}, f{n - 1}])' for n in range(1, 41))
    answer = 'decision := {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": count(f40)}'
    bundle = plain(f'f0 := concat("", ["x", input.action])\n\n{doubling}\n\n{answer}')
    with pytest.raises(JudgementError, match="was ended"):
        judge(bundle, made=20)


def test_apart_is_the_same() -> None:
    assert judge_apart(load_bundle(), made=20) == judge(load_bundle(), made=20)


@pytest.mark.server
def test_a_difference_names_rule_and_input(opa: str) -> None:
    bundle = LATE
    question = {"environment": {"time": "2026-01-01T06:00:00Z"}}
    with Opa.holding(opa, bundle) as real:
        (told,) = judging._differences(bundle, real, [question], [EmbeddedEngine(bundle).evaluate(question)])
    assert "data.ostiary.late (a.rego:" in told and json.dumps(question) in told


@pytest.mark.server
def test_opas_errors_are_no_answers(opa: str) -> None:
    bundle = plain('p := 1 if input.a\n\np := 2 if input.a == 7\n\ndecision := {"verdict": p}')
    with Opa.holding(opa, bundle) as real:
        assert real.answers("data.ostiary.p", [{"a": 1}, {"a": 7}, {}, {"a": 2}]) == [1, UNDEFINED, UNDEFINED, 1]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 1", EvaluationError),
        ("echo nonsense", AnswerError),
        ("echo '[1, 2]'", AnswerError),
        ("sleep 30", EngineUnavailableError),
        (None, EngineUnavailableError),
    ],
)
def test_an_opa_that_is_gone_slow_or_mad(
    tmp_path: Path, script: str | None, error: type[PolicyError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opa_program, "TIMEOUT_S", 0.2 if script and "sleep" in script else 20)
    monkeypatch.setattr(opa_program, "MAX_FAILURES", 5)
    program = tmp_path / "opa"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    with Opa.holding(str(program), load_bundle()) as real, pytest.raises(error):
        real.answers("data.ostiary.decision", [{}] * 20)


def test_tests_are_run_one_by_one(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "rego")
    (tmp_path / "rego" / "more_test.rego").write_text(
        "package more\n\ntest_good if 1 == 1\n\ntest_bad if 1 == 2\n\ntest_null := null\n\nother if 1 == 2\n"
    )
    trials = {
        trial.name: trial.ok for trial in run_tests(load_bundle(tmp_path / "rego")) if trial.file == "more_test.rego"
    }
    assert trials == {"data.more.test_good": True, "data.more.test_bad": False, "data.more.test_null": False}


@pytest.mark.server
def test_a_server_judges_as_the_program_does(serve_opa: Callable[..., str], opa: str) -> None:
    server = OpaServer(serve_opa())
    for _ in range(2):  # it leaves nothing behind
        found = judge(load_bundle(), opa=server, made=300)
        assert found.ok, found.problems
        assert found.opa
    questions = [{"environment": {"time": f"2026-01-01T{hour:02}:00:00Z"}} for hour in range(24)]
    with Opa.holding(opa, LATE) as program:
        expected = program.answers("data.ostiary.decision", questions)
    with JudgingServer.holding(server, LATE) as served:
        assert served.answers("data.ostiary.decision", questions) == expected


@pytest.mark.server
def test_a_server_says_what_it_refuses_and_which_test_fails(serve_opa: Callable[..., str]) -> None:
    server = OpaServer(serve_opa())
    with JudgingServer.holding(server, plain("decision := graphql.unheard_of(1)")) as served:
        assert "a.rego" in served.problems()[0]
    wrong = {"a.rego": b"package ostiary\n\ndecision := 1\n", "a_test.rego": b"package ostiary\n\ntest_x if false\n"}
    with JudgingServer.holding(server, make_bundle(wrong, Path())) as served:
        assert served.problems() == ["data.ostiary.test_x does not hold in OPA"]
    with JudgingServer.holding(server, load_bundle()) as served:
        assert served.problems() == []


@pytest.mark.server
def test_a_server_that_serves_something_is_left_alone(serve_opa: Callable[..., str]) -> None:
    url = serve_opa("-b", str(SHIPPED))
    with pytest.raises(EngineUnavailableError, match="none may judge"):
        judge(load_bundle(), opa=OpaServer(url), made=10)
    OpaEngine(OpaServer(url), load_bundle(), timeout_s=10).close()  # it serves what it served
