"""What the ledger promises, for any evidence."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.account import MARGIN, MAX_RECORDS
from risk.ledger import Ledger
from risk.values import Evidence, Level, Words
from sensors.values import Entity, EntityKind

SECOND = 1_000_000_000
WHO = Entity(EntityKind.IP, "192.0.2.7")


def evidence(weight: float, reason: str = "scan.vertical", ts: int = 0, **fields: Any) -> Evidence:
    plain = Evidence(
        ts, WHO, reason.split(".")[0], reason, "", 0.01, weight, 600.0, Words((WHO, " did something")), "", (), "a", 1
    )
    return dataclasses.replace(plain, **fields)


EVIDENCE = st.builds(
    evidence,
    weight=st.floats(0, 1),
    reason=st.sampled_from([f"kind.{n}" for n in range(30)]),
    ts=st.integers(0, 10_000).map(lambda s: s * SECOND),
    half_life_s=st.floats(1, 1e5),
    ceiling=st.floats(0, 1),
    count=st.integers(1, 10**6),
)
PROFILE = settings(max_examples=150, deadline=None, derandomize=True)


@PROFILE
@given(st.lists(EVIDENCE, min_size=1, max_size=40))
def test_risk_stays_in_range_and_contributions_add_up(items: list[Evidence]) -> None:
    ledger = Ledger(10, "r")
    for item in items:
        found = ledger.add(item)
        assert 0 <= found.risk <= 1
        assert round(sum(found.contributions.values()), 9) == found.risk
        assert all(share >= 0 for share in found.contributions.values())
        assert 0 <= found.confidence <= 1
        assert len(found.reasons) == len(found.texts) <= MAX_RECORDS


@PROFILE
@given(st.lists(EVIDENCE.map(lambda e: dataclasses.replace(e, ts=0)), max_size=20), EVIDENCE)
def test_evidence_never_lowers_a_risk(items: list[Evidence], last: Evidence) -> None:
    ledger = Ledger(10, "r")
    for item in items:
        ledger.add(item)
    before = ledger.assess(WHO, last.ts).risk
    assert ledger.add(last).risk >= before - 1e-4


@PROFILE
@given(st.lists(EVIDENCE, min_size=1, max_size=20), st.lists(st.integers(0, 10**6), min_size=2, max_size=10))
def test_risk_only_falls_while_nothing_happens_and_reading_changes_nothing(
    items: list[Evidence], instants: list[int]
) -> None:
    ledger = Ledger(10, "r")
    for item in items:
        ledger.add(item)
    end = max(item.ts for item in items)
    read = [ledger.assess(WHO, end + s * SECOND).risk for s in sorted(instants)]
    assert read == sorted(read, reverse=True)
    assert read == [ledger.assess(WHO, end + s * SECOND).risk for s in sorted(instants)]


@PROFILE
@given(st.lists(EVIDENCE, min_size=2, max_size=20, unique_by=lambda e: e.reason))
def test_without_the_named_contributor_the_risk_is_lower(items: list[Evidence]) -> None:
    ledger, without = Ledger(10, "r"), Ledger(10, "r")
    for item in sorted(items, key=lambda e: e.ts):
        found = ledger.add(item)
    if not found.contributions or found.risk == 1:
        return
    named = max(found.contributions, key=lambda reason: found.contributions[reason])
    for item in sorted(items, key=lambda e: e.ts):
        if item.reason != named:
            without.add(item)
    assert without.assess(WHO, found.ts).risk < found.risk


def test_a_half_life_halves() -> None:
    ledger = Ledger(10, "r")
    ledger.add(evidence(0.8))
    assert ledger.assess(WHO, 600 * SECOND).risk == 0.4
    assert ledger.assess(WHO, 600 * SECOND).age_s == 600


def test_repetition_renews_and_adds_up_only_to_its_ceiling() -> None:
    ledger = Ledger(10, "r")
    assert [ledger.add(evidence(0.5)).risk for _ in range(5)] == [0.5] * 5
    risks = [ledger.add(evidence(0.1, "auth.failure", ceiling=0.3)).contributions for _ in range(9)]
    assert sum(risks[-1].values()) == pytest.approx(1 - 0.5 * 0.7)


def test_reasons_multiply() -> None:
    ledger = Ledger(10, "r")
    ledger.add(evidence(0.5, "a.b"))
    assert ledger.add(evidence(0.6, "c.d")).risk == 0.8


def test_a_level_is_left_only_well_below_its_cut() -> None:
    ledger = Ledger(10, "r")
    assert ledger.add(evidence(0.91)).level is Level.CRITICAL
    levels = [ledger.assess(WHO, s * SECOND).level for s in (0, 15, 40, 100, 500, 1000, 3000)]
    assert levels == [
        Level.CRITICAL, Level.CRITICAL, Level.CRITICAL, Level.HIGH, Level.ELEVATED, Level.GUARDED, Level.LOW,
    ]  # fmt: skip
    below = ledger.assess(WHO, 40 * SECOND)
    assert 0.9 - MARGIN < below.risk < 0.9


def test_unknown_entities_are_without_risk() -> None:
    found = Ledger(10, "r").assess(WHO, 5)
    assert (found.risk, found.level, found.reasons, found.model_revision) == (0, Level.LOW, (), "r")


def test_the_cap_gives_up_the_least_risky_and_counts_them() -> None:
    ledger = Ledger(32, "r")
    for n in range(200):
        weight = 0.9 if n == 0 else 0.1
        ledger.add(evidence(weight, entity=Entity(EntityKind.IP, f"10.0.0.{n}")))
    assert len(ledger) <= 32
    assert ledger.evicted == 200 - len(ledger)
    assert ledger.risky(0, 1)[0].entity.id == "10.0.0.0"


def test_riskiest_first_and_ties_by_entity() -> None:
    ledger = Ledger(32, "r")
    for name, weight in (("10.0.0.2", 0.5), ("10.0.0.1", 0.5), ("10.0.0.3", 0.9), ("10.0.0.4", 0.0)):
        ledger.add(evidence(weight, entity=Entity(EntityKind.IP, name)))
    assert [each.entity.id for each in ledger.risky(0, 10)] == ["10.0.0.3", "10.0.0.1", "10.0.0.2"]


def test_late_evidence_counts_from_now() -> None:
    ledger = Ledger(10, "r")
    ledger.add(evidence(0.5, "a.b", ts=1000 * SECOND))
    found = ledger.add(evidence(0.5, "c.d", ts=0))
    assert found.risk == 0.75
    assert found.age_s == 0


def test_two_sensors_that_tell_one_behaviour_are_not_two_witnesses() -> None:
    ledger = Ledger(10, "r")
    ledger.add(evidence(0.5, "brute_force.logins", source="edge.pcap"))
    assert ledger.add(evidence(0.6, "brute_force.password", source="auth.log")).risk == 0.6
    found = ledger.add(evidence(0.5, "web.sql", source="edge.pcap"))
    assert found.risk == 0.8
    assert found.reasons == ("brute_force.password", "web.sql")


@PROFILE
@given(st.lists(st.tuples(EVIDENCE, st.sampled_from("abc")), max_size=20), EVIDENCE, st.sampled_from("abcd"))
def test_another_sensor_never_lowers_a_risk(items: list[tuple[Evidence, str]], last: Evidence, sensor: str) -> None:
    ledger = Ledger(10, "r")
    for item, source in items:
        ledger.add(dataclasses.replace(item, ts=0, source=source))
    before = ledger.assess(WHO, last.ts).risk
    assert ledger.add(dataclasses.replace(last, source=sensor)).risk >= before - 1e-4
