"""The budget allows what it says, and knows what others would have given."""

import numpy as np
import pytest

from risk.calibration.budget import DAY_NS, LADDER, LAXEST, SETTING, Budget


def _lived(per_day: float, minutes_a_day: int, days: int, seed: int = 1) -> Budget:
    budget, dice = Budget(per_day), np.random.default_rng(seed)
    for day in range(days):
        for minute in range(minutes_a_day):
            p_value = dice.random()
            alarms = tuple(bool(p_value < allowed) for allowed in budget.allowed())
            budget.count(DAY_NS * (day + 100) + minute * (DAY_NS // minutes_a_day), alarms, False)
    return budget


def test_what_is_allowed_meets_the_budget() -> None:
    budget = _lived(20, 5000, 6)
    outcome = budget.outcomes()[SETTING]
    assert outcome.budget_per_day == 20
    assert 14 <= outcome.per_day <= 27
    assert outcome.p_value == pytest.approx(20 / 5000, rel=0.3)


def test_stricter_and_looser_settings_give_fewer_and_more() -> None:
    outcomes = _lived(20, 5000, 6).outcomes()
    assert [each.budget_per_day for each in outcomes] == [20 * rung for rung in LADDER]
    assert [each.alarms for each in outcomes] == sorted(each.alarms for each in outcomes)
    assert outcomes[0].alarms < outcomes[-1].alarms


def test_a_quiet_network_is_not_promised_more_than_the_laxest() -> None:
    assert _lived(1000, 20, 2).allowed()[SETTING] == LAXEST


def test_only_a_week_counts() -> None:
    budget = _lived(20, 50, 30)
    assert budget.host_minutes() <= 8 * 50


def test_alarms_on_suspects_are_no_false_ones() -> None:
    budget = Budget(10)
    for minute in range(500):
        budget.count(DAY_NS + minute, (True,) * len(LADDER), minute % 2 == 0)
    assert budget.known() == 250
    assert budget.outcomes()[SETTING].alarms == 250
