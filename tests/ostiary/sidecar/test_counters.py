"""Counters: each process adds to its own, any of them tells the sum, also after one has died."""

import os
import signal
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.sidecar.counters import BUCKETS_S, CODES, GATEWAYS, Counters
from ostiary.sidecar.http import DIALECTS
from policy import errors
from policy.values import Verdict


def in_child(work: object) -> None:
    """Run what is called in a process that is forked and then killed."""
    assert callable(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child ends at once
        process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def test_what_a_process_counted_outlives_it() -> None:
    counters = Counters(3)

    def count(number: int) -> None:
        counters.belong_to(number)
        counters.add("questions", number)
        counters.put("connections", 7)
        counters.verdict(Verdict.DENY, enforced=True)

    for number in (1, 2):
        in_child(lambda number=number: count(number))
    assert list(counters.each("questions")) == [0, 1, 2]
    assert (counters.total("questions"), counters.total("connections"), counters.total("enforced.deny")) == (3, 14, 2)
    counters.belong_to(2)
    assert (counters.own("questions"), counters.own("restarts")) == (2, 0)
    in_child(lambda: count(2))  # the one that comes in its place goes on
    assert counters.own("questions") == 4


def test_verdicts_are_told_apart_by_whether_they_were_enforced() -> None:
    counters = Counters()
    for verdict in Verdict:
        counters.verdict(verdict, enforced=True)
        counters.verdict(verdict, enforced=False)
        counters.verdict(verdict, enforced=False)
        assert (counters.total(f"enforced.{verdict.value}"), counters.total(f"observed.{verdict.value}")) == (1, 2)


@pytest.mark.parametrize(
    ("code", "counted"),
    [
        ("gateway.header-missing", "gateway"),
        ("gateway.path", "gateway"),
        ("identity.certificate-chain", "identity"),
        ("policy.slow", "policy.slow"),
        ("gate.overloaded", "gate.overloaded"),
        ("policy.dialect", "other"),
        ("", "other"),
        ("another", "other"),
    ],
)
def test_failures_are_counted_by_their_code_or_its_family(code: str, counted: str) -> None:
    counters = Counters()
    counters.undecided(code)
    assert {name: counters.total(f"undecided.{name}") for name in CODES} == {**dict.fromkeys(CODES, 0), counted: 1}


def test_what_an_engine_may_fail_with_has_a_code_of_its_own() -> None:
    failing = (errors.EvaluationError, errors.AnswerError, errors.SlowError, errors.EngineUnavailableError,
               errors.RevisionError, errors.DocumentError)  # fmt: skip
    assert {error.code for error in failing} <= set(CODES)


def test_every_dialect_is_counted() -> None:
    assert {module.NAME for module in DIALECTS.values()} <= set(GATEWAYS)


def test_an_unknown_name_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        Counters().add("typo")


@given(st.lists(st.floats(-1, 10), max_size=20))
def test_what_answers_took_falls_into_the_bucket_below_whose_bound_it_lies(took: list[float]) -> None:
    counters = Counters()
    for seconds in took:
        counters.took(seconds)
    found = [counters.total(f"took.{number}") for number in range(len(BUCKETS_S) + 1)]
    for number, bound in enumerate(BUCKETS_S):
        assert sum(found[: number + 1]) == sum(seconds <= bound for seconds in took)
    assert sum(found) == len(took)
    assert counters.total("took_ns") == sum(int(max(seconds, 0.0) * 1e9) for seconds in took)
