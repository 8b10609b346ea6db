"""The operator's alarm budget: which p-value is rare enough, what that gives, and what other budgets would have given.

An alarm is judged for one host in one minute. The allowed p-value is the budget over the host-minutes a day at the pace
seen so far, never laxer than `LAXEST`. Beside the setting, budgets of `LADDER` times it are kept going, so that the
question "what would half of it have given last week" is answered by counting. Alarms on entities that evidence speaks
against are counted apart: they aren't false.
"""

from collections import deque
from dataclasses import dataclass

LADDER = (0.2, 0.5, 1.0, 2.0, 5.0)
SETTING = LADDER.index(1.0)
LAXEST = 0.01
DAY_NS, HOUR_NS = 86_400_000_000_000, 3_600_000_000_000
WEEK = 7


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one budget gave over the days that were seen, the last week at most."""

    budget_per_day: float
    alarms: int
    """On entities without other evidence: false ones, as far as anybody knows."""
    per_day: float
    p_value: float
    """What it takes to be told, now."""


@dataclass(slots=True)
class _Day:
    number: int
    minutes: int
    alarms: list[int]
    known: int


class Budget:
    """Counts host-minutes and alarms by day of event time, and says what is allowed."""

    def __init__(self, per_day: float) -> None:
        self._per_day = per_day
        self._days: deque[_Day] = deque(maxlen=WEEK + 1)
        self._first = self._last = 0

    def allowed(self) -> tuple[float, ...]:
        """Return the p-value of a host-minute that each rung of the ladder allows."""
        minutes = sum(day.minutes for day in self._days)
        a_day = max(minutes / self.span(), 1.0)
        return tuple(min(self._per_day * rung / a_day, LAXEST) for rung in LADDER)

    def count(self, now: int, alarms: tuple[bool, ...], suspect: bool) -> None:
        """Count one host-minute that ended at `now` (ns): which rungs it would have crossed."""
        self._first = self._first or now
        self._last = max(self._last, now)
        number = self._last // DAY_NS
        if not self._days or self._days[-1].number != number:
            self._days.append(_Day(number, 0, [0] * len(LADDER), 0))
        day = self._days[-1]
        day.minutes += 1
        if suspect:
            day.known += alarms[SETTING]
            return
        for rung, alarm in enumerate(alarms):
            day.alarms[rung] += alarm

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what each rung gave, strictest first."""
        allowed, span = self.allowed(), self.span()
        totals = [sum(day.alarms[rung] for day in self._days) for rung in range(len(LADDER))]
        return tuple(
            Outcome(self._per_day * rung, total, total / span, p_value)
            for rung, total, p_value in zip(LADDER, totals, allowed, strict=True)
        )

    def known(self) -> int:
        """Return the alarms of these days on entities that other evidence speaks against."""
        return sum(day.known for day in self._days)

    def host_minutes(self) -> int:
        """Return the host-minutes of these days."""
        return sum(day.minutes for day in self._days)

    def span(self) -> float:
        """Return the days that the counts cover; an hour at least, so that a short stream promises nothing."""
        begin = self._first if not self._days else max(self._first, self._days[0].number * DAY_NS)
        return max(self._last - begin, HOUR_NS) / DAY_NS
