"""Models, gate, calibration and budget over flows, as the engine runs them."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from risk import anomaly
from risk.calibration.budget import LADDER
from risk.engine import RiskEngine
from risk.reference import Reference
from risk.reference.training import gather
from risk.settings import RiskSettings
from risk.values import Finding
from risk.windows import MODELS
from sensors.values import Batch, Kind, Rows

SETTINGS = RiskSettings(max_entities=1 << 10, alarm_budget_per_day=20)
HOURS = 4


def _office(make_traffic: Any, seed: int, hours: float = HOURS) -> Any:
    """Forty clients that use a few services in their own rhythm."""
    traffic, dice = make_traffic(), random.Random(seed)
    for client in range(40):
        at = dice.random() * 60
        while at < hours * 3600:
            out, back = round(dice.lognormvariate(6, 0.5)), round(dice.lognormvariate(9, 1))
            service = dice.randrange(4)
            port = (443, 443, 80, 993)[service]
            traffic.talk(at, f"10.0.0.{client}", f"203.0.113.{service}", port, out, back, dice.expovariate(2))
            at += dice.expovariate(1 / 40)
    return traffic


def _odd(traffic: Any, at: float, host: str = "10.0.0.3") -> None:
    """Add uploads that no rule knows, but that nobody here makes."""
    for step in range(12):
        traffic.talk(at + step, host, "198.51.100.77", 61234, 40_000_000, 100, 900)


def _run(rows: Rows, reference: Reference | None = None, cuts: int = 1) -> tuple[RiskEngine, list[Finding]]:
    engine, found = RiskEngine(SETTINGS, reference), []
    for part in np.array_split(rows, cuts):
        found += engine.observe(Batch(("a",), 2**62, {Kind.FLOW: part}))
    return engine, found


def _anomalies(found: Sequence[Finding]) -> list[Finding]:
    return [each for each in found if each.evidence.reason == "anomaly.source"]


@pytest.fixture(scope="module")
def day(make_traffic: Any) -> Rows:
    traffic = _office(make_traffic, 1)
    _odd(traffic, HOURS * 3600 - 300)
    rows: Rows = traffic.rows()
    return rows


@pytest.fixture(scope="module")
def reference(make_traffic: Any) -> Reference:
    other = Batch(("a",), 2**62, {Kind.FLOW: _office(make_traffic, 2, 2).rows()})
    return Reference.fit(gather([other], SETTINGS), MODELS, about="another office")


@pytest.fixture(scope="module")
def lived(day: Rows, reference: Reference) -> tuple[RiskEngine, list[Finding]]:
    return _run(day, reference)


def test_the_unusual_is_weak_evidence_with_its_facts(lived: tuple[RiskEngine, list[Finding]]) -> None:
    odd = [each for each in _anomalies(lived[1]) if each.evidence.entity.id == "10.0.0.3"]
    assert odd
    evidence = odd[-1].evidence
    assert abs(sum(fact.share for fact in evidence.contributions) - 1) < 1e-9
    assert any(fact.value > fact.usual_high for fact in evidence.contributions)
    assert evidence.p_value < 0.01


def test_no_anomaly_goes_beyond_the_ceiling(lived: tuple[RiskEngine, list[Finding]]) -> None:
    for each in _anomalies(lived[1]):
        assert each.evidence.weight == anomaly.WEIGHT
        assert each.assessment.contributions.get("anomaly.source", 0) <= anomaly.CEILING + 1e-9


def test_false_alarms_stay_near_the_budget(lived: tuple[RiskEngine, list[Finding]]) -> None:
    false = [each for each in _anomalies(lived[1]) if each.evidence.entity.id != "10.0.0.3"]
    assert len(false) <= 4 + 3 * SETTINGS.alarm_budget_per_day * HOURS / 24


def test_the_cuts_of_the_stream_change_nothing(day: Rows, reference: Reference) -> None:
    short = day[:4000]
    whole, parts = _run(short, reference), _run(short, reference, 37)
    assert whole[1] == parts[1]
    assert dict(whole[0].counts()) == dict(parts[0].counts())


def test_every_flow_that_ended_is_scored_and_whole_batches_are_learnt(day: Rows) -> None:
    engine, _ = _run(day[:6000])
    ended = int((day["event"][:6000] & 2 != 0).sum())
    counts = engine.counts()
    assert counts["anomaly_scored"] == ended
    assert counts["anomaly_learnt"] <= ended


def test_suspects_teach_nothing(make_traffic: Any) -> None:
    traffic = make_traffic()
    for port in range(1, 700):
        traffic.refused(port * 0.2, "192.0.2.7", "198.51.100.9", port)
    engine, _ = _run(traffic.rows())
    counts = engine.counts()
    assert counts["anomaly_learnt"] == 0
    assert counts["anomaly_gated_evidence"] == 512


def test_the_reference_speaks_from_the_first_minute(make_traffic: Any, reference: Reference) -> None:
    traffic = _office(make_traffic, 5, 0.2)
    _odd(traffic, 600)
    found = _anomalies(_run(traffic.rows(), reference)[1])
    assert "10.0.0.3" in {each.evidence.entity.id for each in found}
    assert len(found) <= 3


def test_other_budgets_are_counted_beside_the_setting(lived: tuple[RiskEngine, list[Finding]]) -> None:
    outcomes = lived[0].budget()
    assert [each.budget_per_day for each in outcomes] == [20 * rung for rung in LADDER]
    assert [each.p_value for each in outcomes] == sorted(each.p_value for each in outcomes)
    assert [each.alarms for each in outcomes] == sorted(each.alarms for each in outcomes)


def test_a_packet_that_ends_a_thousand_flows_is_learnt_batch_by_batch(make_traffic: Any) -> None:
    traffic = make_traffic()
    for step in range(1000):
        traffic.talk(0, f"10.0.{step % 7}.{step % 90}", "203.0.113.1", 443)
    rows = traffic.rows()
    rows["ts"], rows["seq"] = rows["ts"][0], 1
    engine, _ = _run(rows)
    assert engine.counts()["anomaly_scored"] == 1000
