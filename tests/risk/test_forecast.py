"""Forecasts beat the naive one where there is something to see, with honest bands; overflows are told in time."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.forecast import HORIZONS, MEMORY, PER_DAY, Forecast, Series
from risk.meter import MOST, Meter
from risk.outlook import Capacity, outlook
from sensors.values import Batch, Kind

MINUTE = 60_000_000_000
ROOM = Capacity(1000.0, 10_000, 1 << 17, 0, 10.0)


def _score(counts: Sequence[float], after: int) -> tuple[list[float], float]:
    """Return our errors as shares of the naive ones, and the share of counts within the band."""
    series, waiting = Series(), dict[int, list[tuple[int, Forecast]]]()
    ours, naive, inside = [0.0] * 4, [0.0] * 4, []
    for minute, count in enumerate(counts):
        for place, ahead in waiting.pop(minute, ()):
            if minute >= after:
                ours[place] += abs(ahead.value - count)
                naive[place] += abs(ahead.naive - count)
                inside.append(ahead.low <= count <= ahead.high)
        series.take(minute, count)
        for place, ahead in enumerate(series.ahead()):
            waiting.setdefault(minute + HORIZONS[place], []).append((place, ahead))
    return [mine / theirs for mine, theirs in zip(ours, naive, strict=True)], sum(inside) / len(inside)


def _noisy(dice: random.Random, mean: float) -> float:
    return max(round(dice.gauss(mean, math.sqrt(mean))), 0)


def test_noise_is_smoothed_and_the_band_holds_nine_of_ten() -> None:
    dice = random.Random(1)
    shares, covered = _score([_noisy(dice, 200) for _ in range(900)], 200)
    assert all(share < 0.8 for share in shares)
    assert 0.84 < covered < 0.95


def test_the_course_of_a_day_is_known_the_third_day() -> None:
    dice = random.Random(2)
    counts = [
        _noisy(dice, 400 + 300 * math.sin(minute / PER_DAY * 2 * math.pi) + 500 * (600 <= minute % PER_DAY < 660))
        for minute in range(3 * PER_DAY)
    ]
    shares, _ = _score(counts, 2 * PER_DAY)
    assert shares[-1] < 0.75 and shares[-2] < 0.95


def test_a_random_walk_is_forecast_about_as_well_as_by_its_last_value() -> None:
    dice, level, counts = random.Random(3), 500.0, []
    for _ in range(1500):
        level = max(level + dice.gauss(0, 12), 5)
        counts.append(level)
    shares, _ = _score(counts, 500)
    assert all(share < 1.1 for share in shares)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3 * PER_DAY), st.floats(0, 1e6)), max_size=40))
def test_whatever_comes_bands_hold_the_value_and_are_finite(counts: list[tuple[int, float]]) -> None:
    series = Series()
    for minute, count in counts:
        series.take(minute, count)
        for each in series.ahead():
            assert 0 <= each.low <= each.value + 1e-6 <= each.high + 2e-6 < math.inf
    assert len(series.made) <= HORIZONS[-1] + 1 and all(len(misses) <= MEMORY for misses in series.misses)


def test_minutes_left_out_brought_nothing_and_late_ones_are_not_taken() -> None:
    series = Series()
    series.take(100, 50)
    series.take(99, 9000)
    series.take(103, 50)
    assert (series.seen, series.last, series.minute) == (4, 50, 103)


def _filled(name: str, value: float, minutes: int = 200) -> Meter:
    meter = Meter()
    for minute in range(minutes):
        for each, series in meter.series.items():
            series.take(minute, value if each == name else 0.0)
    return meter


def test_a_queue_that_will_fill_is_told_with_when_and_how_many_workers_it_needs() -> None:
    assert outlook(_filled("rows", 30_000.0), ROOM).overflows == ()
    found = outlook(_filled("rows", 120_000.0), ROOM)
    (told,) = found.overflows
    assert (told.what, told.minutes) == ("queue", pytest.approx(10_000 / 60_000, abs=0.1))
    assert found.workers == 3 and found.use == pytest.approx(2, rel=0.01)
    unknown = outlook(_filled("rows", 120_000.0), Capacity(0.0, 10, 10, 0, 10.0))
    assert (unknown.workers, [each.what for each in unknown.overflows]) == (0, [])


def test_a_table_and_a_budget_that_will_overflow_are_told() -> None:
    near = Capacity(1000.0, 10_000, 1000, 900, 10.0)
    (told,) = outlook(_filled("entities", 10.0), near).overflows
    assert (told.what, told.minutes) == ("table", pytest.approx(10, abs=0.5))
    assert not outlook(_filled("entities", 1.0), near).overflows
    (told,) = outlook(_filled("alarms", 0.1), ROOM).overflows
    assert told.what == "budget" and told.minutes == pytest.approx(100, rel=0.2)


def test_the_meter_counts_minutes_and_follows_the_busiest(world: Any, traffic: Any) -> None:
    for minute in range(30):
        for step in range(40):
            traffic.talk(minute * 60 + step, f"10.0.0.{step % 4}", "203.0.113.1", 443, lasts=0.1)
        traffic.talk(minute * 60 + 50, f"10.1.0.{minute}", "203.0.113.1", 443, lasts=0.1)
    world.see(traffic)
    found = world.engine.outlook(500.0, 1000)
    assert found.minutes_seen >= 29 and found.load[0].value == pytest.approx(82, rel=0.1)
    assert set(list(found.hosts)[:4]) == {f"10.0.0.{n}" for n in range(4)}
    assert found.hosts["10.0.0.1"][0].value == pytest.approx(10, rel=0.2)
    assert len(world.engine._meter.hosts) <= MOST


def test_logs_are_counted_by_who_asks(make_logs: Callable[..., Batch]) -> None:
    meter = Meter()
    lines = [{"at": n * 6.0, "orig": "10.0.0.1", "path": "/", "method": "GET"} for n in range(100)]
    meter.count(make_logs(Kind.HTTP, lines))
    assert meter.hosts["10.0.0.1"].last == 10 and meter.series["rows"].last == 10
