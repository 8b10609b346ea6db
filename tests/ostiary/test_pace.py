"""How fast the engine judges is measured over its work, not over the day."""

import pytest

from ostiary.pace import FEWEST, Pace


def test_too_few_rows_say_nothing() -> None:
    pace = Pace()
    assert (pace.rows_per_s, pace.waiting(256)) == (0.0, 0)
    pace.count(FEWEST - 1, 0.1)
    assert pace.rows_per_s == 0.0


def test_recent_batches_weigh_more_and_time_between_them_nothing() -> None:
    pace = Pace()
    for _ in range(50):
        pace.count(1000, 0.1)
    assert pace.rows_per_s == pytest.approx(10_000)
    assert pace.waiting(256) == 256_000
    for _ in range(1000):
        pace.count(1000, 0.2)
    assert pace.rows_per_s == pytest.approx(5000, rel=0.02)
