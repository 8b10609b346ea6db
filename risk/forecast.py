"""Counts a minute, ahead: what the next five to sixty minutes bring, with a band.

Four simple forecasters run side by side: the last value (naive), a slow mean, a damped trend (Gardner, McKenzie 1985),
and the usual course of a day times the present level. At each horizon they are mixed by how well each did there lately
(weights by a high power of the inverse mean absolute error); the band is the range that held nine of ten of the
mixture's latest errors, on the scale of square roots, on which counts of any size spread alike.

Guarantees: event time only; a fixed amount of work and memory a minute; before there is an error to go by, the band is
that of a Poisson count. Compared with river's HoltWinters and SNARIMAX on the same series by `bench/forecast.py`.
"""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HORIZONS = (5, 15, 30, 60)
"""Minutes."""
PER_DAY = 1440
FORECASTERS = ("naive", "mean", "trend", "daily")
MEMORY = PER_DAY
"""Minutes over which errors are remembered."""
SLOW, LEVEL, TREND, DAMPING = 1 / 30, 0.4, 0.01, 0.95
BINS = 96
"""Stretches of a day."""
HABIT = 0.3
"""Weight of a new day in the usual course."""
NARROW = 1.645
"""Standard deviations that hold nine of ten."""
POWER = 16.0

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a minute some way ahead brings."""

    minutes: int
    value: float
    low: float
    high: float
    """Nine of ten minutes lie between."""
    naive: float
    """The last value, to compare with."""


@dataclass(slots=True)
class Series:
    """One series of counts a minute, and what is expected of it."""

    minute: int = -1
    """Number of the last minute that was taken (minutes since the epoch)."""
    last: float = 0.0
    mean: float = 0.0
    level: float = 0.0
    trend: float = 0.0
    seen: int = 0
    course: list[float] = field(default_factory=lambda: [0.0] * BINS)
    """The usual count a minute in each stretch of the day."""
    days: list[int] = field(default_factory=lambda: [0] * BINS)
    today: float = 0.0
    """What the present stretch has brought."""
    minutes: int = 0
    errors: list[list[float]] = field(default_factory=lambda: [[0.0] * len(FORECASTERS) for _ in HORIZONS])
    judged: list[int] = field(default_factory=lambda: [0] * len(HORIZONS))
    made: deque[tuple[float, ...]] = field(default_factory=lambda: deque(maxlen=HORIZONS[-1] + 1))
    """The forecasts of each minute, one a horizon and forecaster, and the mixtures."""
    misses: list[deque[float]] = field(default_factory=lambda: [deque(maxlen=MEMORY) for _ in HORIZONS])

    def take(self, minute: int, count: float) -> None:
        """Take the count of a minute; minutes that were left out brought nothing."""
        if self.minute >= 0 and minute <= self.minute:
            return
        for empty in range(max(self.minute + 1, minute - PER_DAY), minute) if self.minute >= 0 else ():
            self._step(empty, 0.0)
        self._step(minute, count)

    def ahead(self) -> list[Forecast]:
        """Return what each horizon brings, seen from the last minute."""
        found = []
        for place, minutes in enumerate(HORIZONS):
            value = self._mixed(place, self._each(minutes))
            reach = self._reach(place, value)
            root = math.sqrt(value)
            low, high = max(root - reach, 0.0) ** 2, (root + reach) ** 2
            found.append(Forecast(minutes, value, low, high, self.last))
        return found

    def _step(self, minute: int, count: float) -> None:
        self._judge(count)
        self._learn(minute, count)
        each = [self._each(minutes) for minutes in HORIZONS]
        mixed = [self._mixed(place, forecasts) for place, forecasts in enumerate(each)]
        self.made.append((*(value for forecasts in each for value in forecasts), *mixed))

    def _judge(self, count: float) -> None:
        """Compare the count with what was forecast of it."""
        for place, minutes in enumerate(HORIZONS):
            if len(self.made) < minutes:
                continue
            then = self.made[-minutes]
            rate = max(1 / MEMORY, 1 / (self.judged[place] + 1))
            for which in range(len(FORECASTERS)):
                error = abs(then[place * len(FORECASTERS) + which] - count)
                self.errors[place][which] += rate * (error - self.errors[place][which])
            self.judged[place] += 1
            mixed = then[len(HORIZONS) * len(FORECASTERS) + place]
            self.misses[place].append(abs(math.sqrt(mixed) - math.sqrt(count)))

    def _learn(self, minute: int, count: float) -> None:
        if self.minute < 0:
            self.mean = self.level = count
        self.minute, self.last, self.seen = minute, count, self.seen + 1
        self.mean += max(SLOW, 1 / self.seen) * (count - self.mean)
        before = self.level
        self.level = LEVEL * count + (1 - LEVEL) * (self.level + DAMPING * self.trend)
        self.trend = TREND * (self.level - before) + (1 - TREND) * DAMPING * self.trend
        self._learn_day(minute, count)

    def _learn_day(self, minute: int, count: float) -> None:
        width = PER_DAY // BINS
        self.today, self.minutes = self.today + count, self.minutes + 1
        if minute % width == width - 1:
            place = minute % PER_DAY // width
            usual = self.today / self.minutes
            rate = max(HABIT, 1 / (self.days[place] + 1))
            self.course[place] += rate * (usual - self.course[place])
            self.days[place] += 1
            self.today, self.minutes = 0.0, 0

    def _each(self, minutes: int) -> tuple[float, ...]:
        """Return what each forecaster says of the minute so far ahead."""
        damped = DAMPING * (1 - DAMPING**minutes) / (1 - DAMPING)
        trend = max(self.level + damped * self.trend, 0.0)
        now, then = self._usual(self.minute), self._usual(self.minute + minutes)
        # Where a day's course isn't known yet, the slow mean stands in; half a count keeps the ratio finite.
        daily = self.mean if now < 0 or then < 0 else (self.mean + 0.5) * (then + 0.5) / (now + 0.5) - 0.5
        return self.last, self.mean, trend, max(daily, 0.0)

    def _usual(self, minute: int) -> float:
        """Return the usual count of a minute of the day, between the middles of its stretches; -1 while unknown."""
        width = PER_DAY // BINS
        place = (minute % PER_DAY - width / 2) / width
        first = math.floor(place)
        share = place - first
        one, two = first % BINS, (first + 1) % BINS
        if not self.days[one] or not self.days[two]:
            return -1.0
        return (1 - share) * self.course[one] + share * self.course[two]

    def _mixed(self, place: int, forecasts: tuple[float, ...]) -> float:
        if not self.judged[place]:
            return forecasts[1]
        best = min(self.errors[place])
        weights = [((best + 1e-9) / (error + 1e-9)) ** POWER for error in self.errors[place]]
        total = math.fsum(weight * value for weight, value in zip(weights, forecasts, strict=True))
        return total / math.fsum(weights)

    def _reach(self, place: int, value: float) -> float:
        misses = self.misses[place]
        if len(misses) < 20:
            return NARROW / 2 + 0.1 * math.sqrt(value)  # the square root of a Poisson count spreads by a half
        return float(np.quantile(np.array(misses), 0.9))
