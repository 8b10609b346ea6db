"""Decisions that still hold: bounded, and dropped when they no longer do."""

from dataclasses import replace

import pytest

from policy.values import Decision, Verdict
from policy.verdicts import MAX_AGE_S, Verdicts
from sensors.values import Entity, EntityKind

ENTITY = Entity(EntityKind.IP, "192.0.2.7")
DECISION = Decision("0" * 32, 0, ENTITY, Verdict.ALLOW, (), {}, 5.0, "p", "m", "d", {})


def test_the_oldest_go_first() -> None:
    verdicts = Verdicts(capacity=3)
    for key in "abca":
        verdicts.keep(key, DECISION)
    verdicts.keep("d", DECISION)
    assert len(verdicts) == 3
    assert verdicts.find("b", 0) is None
    assert verdicts.find("a", 0) is DECISION


@pytest.mark.parametrize(("ttl_s", "holds"), [(0.0, False), (0.5, True), (100.0, True)])
def test_a_time_to_live(ttl_s: float, holds: bool) -> None:
    verdicts = Verdicts()
    verdicts.keep("a", replace(DECISION, ttl_s=ttl_s))
    assert (verdicts.find("a", 0) is not None) is holds
    assert verdicts.find("a", int(min(ttl_s, MAX_AGE_S) * 1e9)) is None


def test_what_no_longer_holds_is_let_go_of() -> None:
    verdicts = Verdicts()
    for number in range(10):
        verdicts.keep(number, replace(DECISION, ts=number * 300_000_000))
    assert len(verdicts) == 4  # those of the last second
    verdicts.keep("late", replace(DECISION, ts=-5))  # a clock that went back
    assert verdicts.find("late", -5) is not None
