"""Rulings to be written, and what every dialect makes of a bad header."""

from collections.abc import Callable

import pytest

from policy.gateways.values import Ruling
from policy.values import Decision, Reason, Verdict
from sensors.entities import Entity, EntityKind

ALLOWING = {Verdict.ALLOW, Verdict.THROTTLE}


@pytest.fixture
def decide() -> Callable[..., Decision]:
    """Make decisions; further arguments are obligations."""

    def make(verdict: Verdict, codes: tuple[str, ...] = ("risk.high",), **obligations: object) -> Decision:
        reasons = tuple(Reason(code, "A text.") for code in codes)
        entity = Entity(EntityKind.IP, "192.0.2.7")
        return Decision("0" * 32, 0, entity, verdict, reasons, obligations, 5.0, "p", "m", "d", {})

    return make


@pytest.fixture
def rule(decide: Callable[..., Decision]) -> Callable[..., Ruling]:
    """Make the rulings of a route that enforces; further arguments are obligations."""

    def make(verdict: Verdict, *, over: bool = False, challenge: str = "", **obligations: object) -> Ruling:
        allowed = verdict in ALLOWING and not over
        return Ruling(allowed, decide(verdict, **obligations), enforced=True, over=over, challenge=challenge)

    return make


@pytest.fixture
def observe(decide: Callable[..., Decision]) -> Callable[..., Ruling]:
    """Make the rulings of a route that observes; further arguments are obligations."""

    def make(verdict: Verdict, **obligations: object) -> Ruling:
        return Ruling(True, decide(verdict, **obligations))

    return make
