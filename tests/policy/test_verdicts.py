"""Decisions that still hold: bounded, and dropped when they no longer do."""

from dataclasses import replace

import pytest

from policy.document import STALE_AFTER_S
from policy.values import AccessRequest, Decision, Subject, Verdict
from policy.verdicts import MAX_AGE_S, Verdicts, question_key
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

ENTITY = Entity(EntityKind.IP, "192.0.2.7")
DECISION = Decision("0" * 32, 0, ENTITY, Verdict.ALLOW, (), {}, 5.0, "p", "m", "d", {})
REQUEST = AccessRequest(0, Subject(ENTITY))
ASSESSMENT = Assessment(0, ENTITY, 0.5, Level.HIGH, 0.5, 1.0, 1.0, ("a",), (), {}, "m")


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


def test_the_time_alone_makes_no_new_question() -> None:
    key = question_key(REQUEST, ASSESSMENT, "r")
    assert question_key(replace(REQUEST, ts=1), replace(ASSESSMENT, age_s=2.0), "r") == key


def test_everything_else_does() -> None:
    late = replace(REQUEST, ts=int(STALE_AFTER_S * 1e9) + 1)
    keys = [
        question_key(REQUEST, ASSESSMENT, "r"),
        question_key(REQUEST, ASSESSMENT, "r2"),
        question_key(REQUEST, None, "r"),
        question_key(late, ASSESSMENT, "r"),
        question_key(replace(REQUEST, environment={"gateway": "nginx"}), ASSESSMENT, "r"),
        question_key(replace(REQUEST, subject=Subject(ENTITY, device_managed=False)), ASSESSMENT, "r"),
        *(
            question_key(REQUEST, replace(ASSESSMENT, **change), "r")
            for change in ({"risk": 0.5001}, {"confidence": 0.4}, {"reasons": ("b",)}, {"model_revision": "n"})
        ),
    ]
    assert len(set(keys)) == len(keys)
