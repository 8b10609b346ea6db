"""The gate, the cap and the budget of the models."""

import random

from risk.anomaly import Anomaly, Sample
from risk.behaviours import Place
from risk.detectors.source_trees import NAMES
from risk.settings import RiskSettings
from sensors.values import Entity, EntityKind

SECOND = 1_000_000_000
START = 1_700_000_000_000_000_000


def _sample(step: int, host: int, values: list[float]) -> Sample:
    return Sample(
        Place(START + step * 10 * SECOND, "a", step + 1), Entity(EntityKind.IP, f"10.0.0.{host}"), tuple(values)
    )


def _calm(dice: random.Random) -> list[float]:
    values = [dice.uniform(1, 20) for _ in NAMES]
    for place, name in enumerate(NAMES):
        if "failed" in name or "share" in name:
            values[place] = dice.uniform(0, 0.2)
    return values


def _wild() -> list[float]:
    return [1.0 if "failed" in name or "share" in name else 1e5 for name in NAMES]


def _trained(settings: RiskSettings, steps: int = 3000) -> Anomaly:
    dice, anomaly = random.Random(3), Anomaly(settings)
    for step in range(steps):
        anomaly.consider(_sample(step, step % 20, _calm(dice)), False)
    return anomaly


def test_the_unusual_is_weak_evidence_with_its_facts() -> None:
    anomaly = _trained(RiskSettings())
    found = anomaly.consider(_sample(3000, 99, _wild()), False)
    assert found is not None
    assert found.weight < 0.2
    assert found.ceiling < 0.8
    assert abs(sum(fact.share for fact in found.contributions) - 1) < 1e-9
    assert found.contributions[0].value > found.contributions[0].usual_high


def test_nothing_is_told_before_there_is_history() -> None:
    anomaly = Anomaly(RiskSettings())
    assert all(anomaly.consider(_sample(step, step % 9, _wild()), False) is None for step in range(100))


def test_suspects_are_never_learnt() -> None:
    anomaly = Anomaly(RiskSettings())
    for step in range(1000):
        anomaly.consider(_sample(step, step % 9, _wild()), True)
    counts = anomaly.counts()
    assert counts["anomaly_learnt"] == 0
    assert counts["anomaly_gated_evidence"] == 1000


def test_one_entity_gives_at_most_a_quarter() -> None:
    dice, anomaly = random.Random(3), Anomaly(RiskSettings())
    for step in range(2560):
        anomaly.consider(_sample(step, 1, _calm(dice)), False)
    assert anomaly.counts()["anomaly_learnt"] <= 2560 / 4


def test_an_attacker_that_repeats_itself_does_not_become_usual() -> None:
    anomaly = _trained(RiskSettings(alarm_budget_per_day=1000))
    before = anomaly.counts()["anomaly_gated_score"]
    dice = random.Random(4)
    for step in range(3000, 6000):  # one host in ten misbehaves all the time
        wild = step % 10 == 0
        anomaly.consider(_sample(step, 99 if wild else step % 20, _wild() if wild else _calm(dice)), False)
    assert anomaly.counts()["anomaly_gated_score"] >= before + 295
    assert anomaly.consider(_sample(6000, 99, _wild()), False) is not None


def test_a_smaller_budget_asks_for_rarer_rows() -> None:
    loose, strict = _trained(RiskSettings(alarm_budget_per_day=50)), _trained(RiskSettings(alarm_budget_per_day=1))
    assert strict.counts()["anomaly_threshold_ppm"] < loose.counts()["anomaly_threshold_ppm"]


def test_alarms_on_calm_rows_stay_near_the_budget() -> None:
    dice, anomaly = random.Random(5), _trained(RiskSettings(), 2000)
    alarms = sum(
        anomaly.consider(_sample(step, step % 20, _calm(dice)), False) is not None for step in range(2000, 8000)
    )
    days = 6000 * 10 / 86400
    assert alarms <= 3 * RiskSettings().alarm_budget_per_day * days + 3
