"""What the next hour brings, and what would overflow: the queue, a table, or the alarm budget.

Pure: the series of `risk.meter`, and what the service measured of itself, in; warnings out. Warnings go by the middle
of the forecast where they tell when, and by the top of the band where they ask for room.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from risk.forecast import HORIZONS, Forecast
from risk.meter import Meter, rates

FULL = 0.7
"""Share of a worker's time that is planned for: the rest takes what a minute has beyond its mean."""
HOSTS_SHOWN = 10
PER_DAY = 1440


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the service has and measured of itself."""

    rows_per_s: float
    """Rows that one engine judged a second while it was at work; 0 where it has judged nothing yet."""
    queue_rows: int
    """Rows that may wait."""
    table: int
    """Entities that the tables hold."""
    filled: int
    """Entities in them."""
    alarms_per_day: float
    """The alarm budget."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """Something that will overflow."""

    what: str
    """queue | table | budget."""
    minutes: float
    """From now."""
    text: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """The next hour."""

    ts: int
    """Event time, ns, at which it was seen."""
    minutes_seen: int
    load: tuple[Forecast, ...]
    """Rows a minute."""
    evidence: tuple[Forecast, ...]
    alarms: tuple[Forecast, ...]
    entities: tuple[Forecast, ...]
    """Entities newly placed a minute."""
    hosts: Mapping[str, tuple[Forecast, ...]]
    """Rows a minute that the busiest addresses begin, the busiest first."""
    workers: int
    """Engines that the next hour needs; 0 where nothing was measured yet."""
    use: float
    """Share of one engine that the busiest forecast minute takes, by the top of its band."""
    overflows: tuple[Overflow, ...]


def outlook(meter: Meter, capacity: Capacity) -> Outlook:
    """Return what the next hour brings."""
    load, evidence, alarms, entities = (
        tuple(meter.series[name].ahead()) for name in ("rows", "evidence", "alarms", "entities")
    )
    per_minute = capacity.rows_per_s * 60
    use = max(each.high for each in load) / per_minute if per_minute else 0.0
    found = (_queue(load, capacity), _table(entities, capacity), _budget(meter, alarms, capacity))
    return Outlook(
        meter.now, meter.series["rows"].seen, load, evidence, alarms, entities,
        {host: tuple(series.ahead()) for host, series in list(rates(meter).items())[:HOSTS_SHOWN]},
        max(math.ceil(use / FULL), 1) if per_minute else 0, use, tuple(each for each in found if each is not None),
    )  # fmt: skip


def _queue(load: tuple[Forecast, ...], capacity: Capacity) -> Overflow | None:
    """Warn where more comes in than is judged, until what waits fills the queue."""
    if not capacity.rows_per_s:
        return None
    waiting, before, per_minute = 0.0, 0, capacity.rows_per_s * 60
    for each in load:
        surplus, span = each.value - per_minute, each.minutes - before
        if surplus > 0 and waiting + surplus * span >= capacity.queue_rows:
            minutes = before + (capacity.queue_rows - waiting) / surplus
            words = f"{each.value / 60:,.0f} rows a second will come, {capacity.rows_per_s:,.0f} can be judged"
            return Overflow("queue", round(minutes, 1), f"the queue fills: {words}")
        waiting, before = max(waiting + surplus * span, 0.0), each.minutes
    return None


def _table(entities: tuple[Forecast, ...], capacity: Capacity) -> Overflow | None:
    """Warn where new entities fill the tables, after which the stalest are overwritten."""
    filled, before = float(capacity.filled), 0
    for each in entities:
        span = each.minutes - before
        if filled < capacity.table <= filled + each.value * span:
            minutes = before + (capacity.table - filled) / each.value
            return Overflow("table", round(minutes, 1), f"the tables of {capacity.table:,} entities fill up")
        filled, before = filled + each.value * span, each.minutes
    return None


def _budget(meter: Meter, alarms: tuple[Forecast, ...], capacity: Capacity) -> Overflow | None:
    """Warn where alarms at the pace of the next hour would use up a day's budget before the day is over."""
    mean = sum(each.value for each in alarms) / len(alarms)
    if mean * PER_DAY <= capacity.alarms_per_day or mean <= 0:
        return None
    minutes = capacity.alarms_per_day / mean
    words = f"{mean * PER_DAY:,.1f} alarms a day at this pace, {capacity.alarms_per_day:g} are the budget"
    return Overflow("budget", round(minutes, 1), f"the alarm budget is used up in {minutes / 60:.1f} hours: {words}")


__all__ = ["HORIZONS", "Capacity", "Outlook", "Overflow", "outlook"]
