"""The named change would have kept the risk low, and nothing smaller would."""

import dataclasses
import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from risk.counterfactual import LOW, smallest, weights_of
from risk.ledger import Ledger
from risk.values import Evidence, Words
from sensors.values import Entity, EntityKind

WHO = Entity(EntityKind.IP, "192.0.2.7")
PROFILE = settings(max_examples=150, deadline=None, derandomize=True)
WEIGHTS = st.dictionaries(st.sampled_from([f"kind{n}.x" for n in range(7)]), st.floats(0.001, 0.97), max_size=6)

TOLD = st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 2), st.floats(0.01, 0.95))


def _evidence(reason: str, weight: float, sensor: str = "a") -> Evidence:
    return Evidence(0, WHO, reason.split(".")[0], reason, "", 0.01, weight, 600.0, Words((WHO,)), "", (), sensor, 1)


def _risk(weights: dict[str, float]) -> float:
    return 1 - math.prod(1 - weight for weight in weights.values())


@PROFILE
@given(WEIGHTS)
def test_without_the_named_reasons_the_risk_is_low_and_no_fewer_do(weights: dict[str, float]) -> None:
    found = smallest(weights, {})
    named = {change.reason for change in found.changes}
    left = _risk({reason: weight for reason, weight in weights.items() if reason not in named})
    assert left < LOW + 1e-9 and abs(left - found.risk) <= 1e-4
    for fewer in range(len(named)):
        for kept_out in itertools.combinations(weights, fewer):
            assert _risk({reason: weight for reason, weight in weights.items() if reason not in kept_out}) >= LOW - 1e-9


@PROFILE
@given(st.lists(TOLD, min_size=1, max_size=12))
def test_a_ledger_without_it_stays_low(told: list[tuple[str, int, int, float]]) -> None:
    items = [_evidence(f"kind{n}.r{r}", weight, sensor) for sensor, n, r, weight in told]
    ledger = Ledger(10, "r")
    for item in items:
        before = ledger.add(item)
    named = {change.reason for change in smallest(weights_of(before.risk, before.contributions), {}).changes}
    behaviours = {reason.split(".")[0] for reason in named}
    winners = {item.source for item in items if item.reason in before.contributions}
    without = Ledger(10, "r")
    for item in items:
        told_elsewhere = item.detector in behaviours and item.reason not in before.contributions
        if item.reason not in named and not told_elsewhere:
            without.add(item)
    if len(winners) == 1:  # where sensors differ, what another one told of the same behaviour is gone as well
        assert without.assess(WHO, 0).risk < LOW + 0.01


@PROFILE
@given(WEIGHTS)
def test_weights_are_found_again_from_shares(weights: dict[str, float]) -> None:
    ledger = Ledger(10, "r")
    for reason, weight in weights.items():
        ledger.add(_evidence(reason, weight))
    found = ledger.assess(WHO, 0)
    again = weights_of(found.risk, found.contributions)
    for reason, weight in weights.items():
        if found.risk < 0.99:
            assert abs(again.get(reason, 0.0) - weight) < 0.02


@PROFILE
@given(WEIGHTS.filter(lambda weights: len(weights) > 1))
def test_removing_the_named_contributor_lowers_the_risk(weights: dict[str, float]) -> None:
    ledger, without = Ledger(10, "r"), Ledger(10, "r")
    for reason, weight in weights.items():
        found = ledger.add(_evidence(reason, weight))
    named = found.reasons[0]
    for reason, weight in weights.items():
        if reason != named:
            without.add(_evidence(reason, weight))
    assert without.assess(WHO, 0).risk < found.risk or found.risk == 1
    assert found.contributions[named] == max(found.contributions.values())


def test_the_fact_farthest_out_of_the_usual_is_named() -> None:
    facts = {"scan.vertical": (("ports", 80.0, 5.0), ("failed", 0.9, 0.5))}
    (change,) = smallest({"scan.vertical": 0.8, "auth.failure": 0.07}, facts).changes
    assert dataclasses.astuple(change) == ("scan.vertical", 0.8, "ports", 80.0, 5.0)
