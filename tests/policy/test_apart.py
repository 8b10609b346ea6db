"""The engine in a process of its own: the same answers, and no decision that takes longer than it may."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import Bundle, load_bundle
from policy.engines.apart import ApartEngine
from policy.engines.embedded import EmbeddedEngine
from policy.errors import BundleError, EvaluationError, SlowError
from policy.generate import documents

DOUBLING = "\n".join(["f0 := input.text", *(f'f{n} := concat("", [f{n - 1}, f{n - 1}])' for n in range(1, 41))])
HARMFUL = {
    "one built-in that runs on": 'decision := {"n": count(numbers.range(1, input.many))}',
    "texts that double": f'{DOUBLING}\ndecision := {{"n": count(f40)}}',
}
"""Each stays within the instructions that the machine may take."""


def bundle(rego: str) -> Bundle:
    return Bundle(Path(), {"policy.rego": f"package ostiary\n\n{rego}\n"}, {}, {}, "r1")


@contextmanager
def running(found: Bundle, limit_s: float = 5.0) -> Iterator[ApartEngine]:
    engine = ApartEngine(found, limit_s)
    try:
        yield engine
    finally:
        engine.close()


def test_the_same_answers_as_in_process() -> None:
    here = EmbeddedEngine(load_bundle())
    with running(load_bundle()) as apart:
        assert apart.revision == here.revision
        for question in documents(load_bundle(), 300):
            assert apart.evaluate(question) == here.evaluate(question)


@pytest.mark.parametrize("name", HARMFUL)
def test_what_takes_too_long_is_ended_and_the_next_question_is_answered(name: str) -> None:
    rego = HARMFUL[name] + ' if input.text == "x" else := {"n": 0}'
    with running(bundle(rego), limit_s=0.3) as apart:
        for _ in range(3):
            with pytest.raises(SlowError):
                apart.evaluate({"text": "x", "many": 2_000_000_000})
            assert apart.evaluate({"text": "", "many": 1}) == {"n": 0}


def test_a_loop_ends_after_so_many_instructions() -> None:
    loop = 'decision := {"n": count([1 | some a in numbers.range(1, 900); some b in numbers.range(1, 900); a != b])}'
    with running(bundle(loop)) as apart, pytest.raises(EvaluationError, match="instruction"):
        apart.evaluate({})


@pytest.mark.parametrize("rego", ["decision := input.missing", "decision := 5"])
def test_no_decision_is_an_error(rego: str) -> None:
    with running(bundle(rego)) as apart, pytest.raises(EvaluationError):
        apart.evaluate({})


def test_a_bundle_that_does_not_compile_is_refused() -> None:
    with pytest.raises(BundleError, match=r"policy\.rego"):
        ApartEngine(bundle("decision := foo("))


def test_long_questions_and_answers_arrive_whole() -> None:
    with running(bundle('decision := {"text": input.text}')) as apart:
        assert apart.evaluate({"text": "ü" * 400_000}) == {"text": "ü" * 400_000}


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_evaluator_costs_no_later_question() -> None:
    with running(bundle('decision := {"n": input.n}')) as apart:
        assert apart._process
        keeper = apart._process.pid
        _until(lambda: _children(keeper))
        (first,) = _children(keeper)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(SlowError):
            apart.evaluate({"n": 1})
        for number in range(2, 9):  # each its own answer, not the one before
            assert apart.evaluate({"n": number}) == {"n": number}


def test_a_killed_keeper_is_started_again() -> None:
    with running(bundle('decision := {"n": 1}')) as apart:
        assert apart._process
        os.killpg(apart._process.pid, signal.SIGKILL)
        with pytest.raises(SlowError):
            apart.evaluate({})
        assert apart.evaluate({}) == {"n": 1}


def test_nothing_is_left_running() -> None:
    with running(bundle('decision := {"n": 1}')) as apart:
        assert apart._process
        keeper = apart._process.pid
        _until(lambda: _children(keeper))
        children = _children(keeper)
    assert not Path(f"/proc/{keeper}").exists()
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
