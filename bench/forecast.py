"""How well counts a minute are forecast, beside the naive forecast and river's own models, on the same series.

    python -m bench.forecast [--days N]

Series: what offices, shops and machines look like, made with a fixed seed (nothing of it is recorded traffic; the
forecaster's constants were chosen on the seeds 7 and 8 of the same generators, this is seed 11). The error is the mean
absolute error at each horizon, as a share of that of the naive forecast (the last value); the band's
coverage is how many counts lay within it, of the nine in ten that should. The first day isn't scored.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from river.time_series import SNARIMAX, HoltWinters

from risk.forecast import HORIZONS, PER_DAY, Series


def _poisson(dice: random.Random, mean: float) -> float:
    return max(round(dice.gauss(mean, math.sqrt(mean) + 0.1)), 0)


def office(dice: random.Random, minutes: int) -> Iterator[float]:
    """People who come in the morning and leave in the evening, and don't on Sundays; bursts."""
    burst = 0.0
    for minute in range(minutes):
        hour, day = minute % PER_DAY / 60, minute // PER_DAY
        work = 1 / (1 + math.exp(-2 * (hour - 8))) / (1 + math.exp(2 * (hour - 18)))
        burst = burst * 0.9 + (dice.random() < 0.01) * dice.random() * 400
        yield _poisson(dice, 30 + 600 * work * (0.1 if day % 7 == 6 else 1) + burst)


def shop(dice: random.Random, minutes: int) -> Iterator[float]:
    """A shop with an evening peak that grows by a tenth a day."""
    for minute in range(minutes):
        hour = minute % PER_DAY / 60
        yield _poisson(dice, (200 + 150 * math.sin((hour - 14) / 24 * 2 * math.pi)) * 1.1 ** (minute / PER_DAY))


def machines(dice: random.Random, minutes: int) -> Iterator[float]:
    """Sensors that report evenly, and a backup at three."""
    for minute in range(minutes):
        yield _poisson(dice, 60 + (900 if 180 <= minute % PER_DAY < 215 else 0))


def steps(dice: random.Random, minutes: int) -> Iterator[float]:
    """A level that jumps every few hours, as after a deployment or an attack."""
    level = 100.0
    for _ in range(minutes):
        if dice.random() < 1 / 240:
            level = math.exp(dice.uniform(2, 7))
        yield _poisson(dice, level)


def walk(dice: random.Random, minutes: int) -> Iterator[float]:
    """A random walk, of which the last value is the best forecast."""
    level = 300.0
    for _ in range(minutes):
        level = max(level + dice.gauss(0, 12), 5)
        yield level


SERIES: tuple[Callable[[random.Random, int], Iterator[float]], ...] = (office, shop, machines, steps, walk)


class River:
    """One of river's models, asked for all horizons each minute."""

    def __init__(self, model: Any) -> None:
        self._model, self._seen = model, 0

    def take(self, _: int, count: float) -> None:
        self._model.learn_one(count)
        self._seen += 1

    def values(self) -> list[float]:
        if self._seen < 130:
            return [0.0] * len(HORIZONS)
        found = self._model.forecast(horizon=HORIZONS[-1])
        return [max(float(found[minutes - 1]), 0.0) for minutes in HORIZONS]


def judge(name: str, model: Any, counts: list[float]) -> tuple[list[float], list[float], float]:
    """Return the mean absolute errors, the coverage (ours only) and the microseconds a minute."""
    errors, inside = [[0.0, 0] for _ in HORIZONS], [[0, 0] for _ in HORIZONS]
    waiting: dict[int, list[tuple[int, float, float, float]]] = {}
    started = time.perf_counter()
    for minute, count in enumerate(counts):
        for place, value, low, high in waiting.pop(minute, ()):
            if minute >= PER_DAY:
                errors[place][0] += abs(value - count)
                errors[place][1] += 1
                inside[place][0] += low <= count <= high
                inside[place][1] += 1
        if name == "naive":
            ahead = [(count, count, count)] * len(HORIZONS)
        elif isinstance(model, Series):
            model.take(minute, count)
            ahead = [(each.value, each.low, each.high) for each in model.ahead()]
        else:
            model.take(minute, count)
            ahead = [(value, value, value) for value in model.values()]
        for place, (value, low, high) in enumerate(ahead):
            waiting.setdefault(minute + HORIZONS[place], []).append((place, value, low, high))
    took = (time.perf_counter() - started) / len(counts) * 1e6
    return [total / n for total, n in errors], [hits / n for hits, n in inside], took


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=7)
    minutes = parser.parse_args().days * PER_DAY
    print("| series | model | " + " | ".join(f"{each} min" for each in HORIZONS) + " | in the band | us a minute |")
    print("|---|---|" + "---|" * (len(HORIZONS) + 2))
    for make in SERIES:
        counts = list(make(random.Random(11), minutes))
        floor, _, _ = judge("naive", None, counts)
        models = {
            "ours": Series(),
            "river HoltWinters": River(HoltWinters(alpha=0.3, beta=0.05)),
            "river SNARIMAX(3,0,1)": River(SNARIMAX(p=3, d=0, q=1)),
        }
        print(f"| {make.__name__} | naive (MAE) | " + " | ".join(f"{value:.1f}" for value in floor) + " | | |")
        for name, model in models.items():
            errors, covered, took = judge(name, model, counts)
            shares = " | ".join(f"{error / base:.2f}" for error, base in zip(errors, floor, strict=True))
            band = f"{sum(covered) / len(covered):.2f}" if name == "ours" else ""
            print(f"| | {name} | {shares} | {band} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
