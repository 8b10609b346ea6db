"""How far a source's clock is from ours, by the delays of its lines."""

import numpy as np
import pytest

from sensors.logs.skew import WINDOW_NS, Skew

SECOND = 1_000_000_000
NOW = 1_795_600_000 * SECOND


def skew(ahead_s: float, delays_s: list[float]) -> Skew:
    found = Skew()
    for number, delay in enumerate(delays_s):
        now = NOW + number * SECOND
        found.take(now, np.array([now - int((delay - ahead_s) * SECOND)], np.int64))
    return found


@pytest.mark.parametrize("ahead", [-3600.0, -40.0, 0.0, 5.0, 7200.0])
def test_the_smallest_delays_tell_the_clock(ahead: float) -> None:
    found = skew(ahead, [0.4, 9.0, 0.1, 30.0, 0.2, 0.15, 100.0]).ahead_ns()
    assert found is not None
    assert found / SECOND == pytest.approx(ahead - 0.2, abs=0.01)


def test_nothing_is_told_before_enough_is_known() -> None:
    assert skew(0, [0.1, 0.1]).ahead_ns() is None
    assert Skew().ahead_ns() is None


def test_lines_with_a_wrong_date_count_for_nothing() -> None:
    found = skew(0, [0.1] * 10)
    future = np.array([NOW + 10**9 * SECOND, NOW, NOW, NOW, NOW], np.int64)
    found.take(NOW + 10 * SECOND, future)
    for _ in range(2):
        found.take(NOW + 10 * SECOND, future[:1])
    ahead = found.ahead_ns()
    assert ahead is not None and abs(ahead) < SECOND


def test_a_clock_that_is_set_right_is_told_after_a_while() -> None:
    found = skew(60, [0.1] * 5)
    later = NOW + 3 * WINDOW_NS
    for number in range(5):
        now = later + number * SECOND
        found.take(now, np.array([now - SECOND // 10], np.int64))
    ahead = found.ahead_ns()
    assert ahead is not None and abs(ahead) < SECOND
