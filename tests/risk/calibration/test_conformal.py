"""p-values mean what they say on exchangeable scores."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from risk.calibration.conformal import SlidingConformal


def test_the_declared_rate_is_kept_on_exchangeable_scores() -> None:
    dice, usual = random.Random(1), SlidingConformal(1000)
    alarms = 0
    for step in range(21_000):
        score = dice.gauss(0, 1)
        alarms += step >= 1000 and usual.p_value(score) <= 0.01
        usual.add(score)
    assert 0.8 <= alarms / 20_000 / 0.01 <= 1.2


def test_it_follows_drift() -> None:
    dice, usual = random.Random(2), SlidingConformal(500)
    for step in range(5000):
        usual.add(dice.gauss(step / 100, 1))
    assert usual.p_value(49) > 0.05
    assert usual.p_value(60) < 0.01


def test_beyond_its_resolution_the_tail_falls_further() -> None:
    dice, usual = random.Random(3), SlidingConformal(2000)
    for _ in range(2000):
        usual.add(dice.expovariate(1))
    values = [usual.p_value(score) for score in (10, 12, 14, 20)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-6


def test_equal_scores_never_alarm() -> None:
    usual = SlidingConformal(100)
    for _ in range(300):
        usual.add(0.5)
    assert usual.p_value(0.5) == 1.0
    assert usual.p_value(0.6) > 0.001
    assert len(usual) == 100


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), max_size=300), st.floats(0, 2))
def test_p_is_a_probability(scores: list[float], score: float) -> None:
    usual = SlidingConformal(100)
    for each in scores:
        usual.add(each)
    assert 0 < usual.p_value(score) <= 1
