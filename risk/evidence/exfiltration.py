"""Data that leaves: an inside host that sends far more to one outside address than it usually does (T1048, T1567).

Guarantees: only payload from private to public addresses counts, one way for the most part; what a host sent to the
same place on an earlier day is its habit and raises what is needed. A backup to a cloud looks the same the first time:
alone this never denies anything, together with a beacon, a fetched program or guessed passwords it does.
"""

from collections.abc import Iterator

import numpy as np

from risk.behaviours import Behaviour, Fact, Mark, Reason, Weight, place_of
from risk.inside import is_inside
from risk.windows import FlowView
from risk.windows.keyed import Decayed, Keyed, Told

MAX_KEYS = 1 << 15
DAY_NS = 86_400_000_000_000
NEEDED = 20e6
"""Bytes within an hour that say something at all."""
HABIT = 3.0
"""So many times the usual hour."""
PAUSE_NS = 6 * 3_600_000_000_000
ONE_WAY = 0.8
QUIET_PORTS = (53, 123)

SENT = Reason(
    "exfiltration.volume", "T1048", Weight(0.2, 0.05, 0.3), 7200, 1e-3, "a backup or an upload that the owner began"
)
SPREAD = Reason(
    "exfiltration.slow",
    "T1030",
    Weight(0.2, 0.05, 0.3),
    14400,
    1e-3,
    "a camera or a meter that reports around the clock",
)


class _Way:
    """What one host sent to one address."""

    __slots__ = ("back", "began", "day", "habit", "hour", "seen", "told", "top")

    def __init__(self) -> None:
        self.began = self.seen = 0
        self.habit = self.top = 0.0
        self.hour = Decayed(3600)
        self.back = Decayed(3600)
        self.day = Decayed(86400)
        self.told = Told()


class Sendings:
    """Windows of (inside host, outside address) over payload sent out."""

    def __init__(self) -> None:
        self._ways: Keyed[tuple[int, int, int, int], _Way] = Keyed(MAX_KEYS, _Way)

    def evicted(self) -> int:
        """Return how many pairs were forgotten for want of room."""
        return self._ways.evicted

    def watch(self, view: FlowView) -> Iterator[Mark]:
        """Count what leaves in order and yield what it shows."""
        rows = view.rows
        sent = (rows["new_orig_bytes"] >= 2000) & ~np.isin(rows["resp_port"], QUIET_PORTS)
        sent &= rows["new_orig_bytes"] > rows["new_resp_bytes"]
        if not sent.any():
            return
        sent &= is_inside(rows["orig_hi"], rows["orig_lo"]) & ~is_inside(rows["resp_hi"], rows["resp_lo"])
        for row in np.flatnonzero(sent).tolist():
            record, place = rows[row], place_of(view, row)
            way = self._ways[
                int(record["orig_hi"]), int(record["orig_lo"]), int(record["resp_hi"]), int(record["resp_lo"])
            ]
            yield from _weigh(view, row, way, int(record["new_orig_bytes"]), int(record["new_resp_bytes"]), place.ts)


def _usual(way: _Way, ts: int) -> float:
    """Return the bytes of the largest hour of an earlier stretch; a stretch ends with a pause or after a day."""
    if ts - way.seen > PAUSE_NS or ts - way.began > DAY_NS:
        way.habit = max(way.habit / 2, way.top)
        way.top, way.began = 0.0, ts
    way.seen = ts
    return way.habit


def _weigh(view: FlowView, row: int, way: _Way, out: int, back: int, ts: int) -> Iterator[Mark]:
    usual = _usual(way, ts)
    hour, day, returned = way.hour.add(ts, out), way.day.add(ts, out), way.back.add(ts, back)
    way.top = max(way.top, hour)
    if hour < ONE_WAY * (hour + returned):
        return
    strength = hour / max(NEEDED, HABIT * usual)
    facts = [Fact("sent_3600", hour, max(NEEDED / 20, usual)), Fact("sent_86400", day, 24 * max(NEEDED / 20, usual))]
    if SENT.due(way.told, strength, ts):
        words = view.orig(row), f" sent {hour / 1e6:.0f} MB within an hour, and got little back, to ", view.resp(row)
        yield Mark(row, SENT.evidence(view.orig(row), place_of(view, row), strength, words, facts))
    elif strength < 1 and not usual and SPREAD.due(way.told, day / (4 * NEEDED), ts):
        words = view.orig(row), f" sent {day / 1e6:.0f} MB within a day, in small portions, to ", view.resp(row)
        yield Mark(row, SPREAD.evidence(view.orig(row), place_of(view, row), day / (4 * NEEDED), words, facts))


BEHAVIOUR = Behaviour("exfiltration", "Data that leaves", flow_watchers=(Sendings,))
