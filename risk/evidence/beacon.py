"""Beacons: one host that calls one outside service at even intervals (T1071, T1573).

Regular calls are also how updates, telemetry and monitoring work, so this is weak evidence on purpose: it never denies
anything by itself. Well-known protocols that are regular by design are left out. What calls evenly is told from a clock
with jitter by the likeness of its sizes. The context is prevalence: the more hosts of a site call one service evenly
within a day, the less it says, and from `COMMON` on nothing.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, Fact, FlowRule, Mark, Reason, Weight, place_of
from risk.inside import is_inside
from risk.windows import FlowView
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.values import Entity, FlowEvent

REGULAR_PORTS = (53, 67, 68, 123, 137, 138, 161, 162, 179, 514, 547, 853, 1900, 3478, 5060, 5353, 5355)
MIN_GAP_S, MAX_GAP_S = 1.5, 7200.0
MIN_GAPS = 8
MAX_SPREAD = 0.15
MAX_JITTER = 0.4
"""Spread of gaps up to which alike sizes make up for uneven times."""
ALIKE = 0.12
COMMON = 4
DAY_S = 86400.0
MAX_KEYS = 1 << 15

REGULAR = Reason(
    "beacon.regular", "T1071", Weight(0.25, 0.03, 0.36), 3600, 1e-2,
    "telemetry, an update check, mail polling or a health check",
)  # fmt: skip


def _refused(view: FlowView) -> NDArray[np.float32]:
    rows, failed = view.rows, view.feature("ch_failures_60")
    alone = (failed >= 20) & (view.feature("sweep_peers_600") < 3) & (view.feature("pair_done_600") < 1)
    alone &= (rows["proto"] == 6) & ~np.isin(rows["resp_port"], REGULAR_PORTS)
    if not alone.any():
        return np.zeros(len(rows), np.float32)
    return np.where(alone & ~is_inside(rows["resp_hi"], rows["resp_lo"]), failed / 20, 0).astype(np.float32)


def _refused_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    failed, port = view.value(row, "ch_failures_60"), int(view.rows[row]["resp_port"])
    return view.orig(row), f" called port {port} of ", view.resp(row), f" {failed:.0f} times in a minute, in vain"


class _Service:
    """Which hosts call one outside service evenly."""

    __slots__ = ("callers",)

    def __init__(self) -> None:
        self.callers: Distinct[tuple[int, int]] = Distinct(DAY_S, 64)


class Calls:
    """Windows of (outside address, port) and of who calls it evenly."""

    def __init__(self) -> None:
        self._services: Keyed[tuple[int, int, int], _Service] = Keyed(MAX_KEYS, _Service)
        self._told: Keyed[tuple[int, int, int, int, int], Told] = Keyed(MAX_KEYS, Told)

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        return self._services.evicted + self._told.evicted

    def watch(self, view: FlowView) -> Iterator[Mark]:
        """Judge the beginnings of even calls in order and yield what they show."""
        rows = view.rows
        tight = view.feature("ch_gap_cv") <= MAX_SPREAD
        even = tight | ((view.feature("ch_gap_cv") <= MAX_JITTER) & (view.feature("ch_size_cv") <= ALIKE))
        even &= (view.feature("ch_gaps") >= MIN_GAPS) & (rows["event"] & FlowEvent.START != 0)
        even &= (view.feature("ch_gap") >= MIN_GAP_S) & (view.feature("ch_gap") <= MAX_GAP_S)
        even &= np.isin(rows["proto"], (6, 17)) & ~np.isin(rows["resp_port"], REGULAR_PORTS)
        if not even.any():
            return
        even &= ~is_inside(rows["resp_hi"], rows["resp_lo"])
        for row in np.flatnonzero(even).tolist():
            yield from self._judge(view, row, MIN_GAPS if tight[row] else 2 * MIN_GAPS)

    def _judge(self, view: FlowView, row: int, needed: int) -> Iterator[Mark]:
        orig_hi, orig_lo, resp_hi, resp_lo, port = (
            int(view.rows[row][name]) for name in ("orig_hi", "orig_lo", "resp_hi", "resp_lo", "resp_port")
        )
        place, gaps = place_of(view, row), view.value(row, "ch_gaps")
        callers = self._services[resp_hi, resp_lo, port].callers
        callers.add(place.ts, (orig_hi, orig_lo))
        shared = max(callers.count.value, 1.0)
        strength = gaps / needed / max(shared - 1, 1.0)
        told = self._told[orig_hi, orig_lo, resp_hi, resp_lo, port]
        if shared >= COMMON or not REGULAR.due(told, strength, place.ts, 3600):
            return
        gap, spread = view.value(row, "ch_gap"), view.value(row, "ch_gap_cv")
        what = f" every {gap:.1f} s (spread {spread:.0%}), {gaps + 1:.0f} times so far; {shared:.0f} hosts do so"
        words = view.orig(row), f" called port {port} of ", view.resp(row), what
        facts = [Fact("ch_gaps", gaps, 4), Fact("even_callers_86400", 1 / shared, 0.2)]
        yield Mark(row, REGULAR.evidence(view.orig(row), place, strength, words, facts, round(gaps) + 1))


BEHAVIOUR = Behaviour(
    "beacon",
    "Regular calls to an outside service",
    (
        FlowRule(
            Reason(
                "beacon.refused", "T1071", Weight(0.35, 0.12, 0.6), 3600, 1e-3,
                "a program that never backs off from a service that is gone",
            ),
            _refused,
            (("ch_failures_60", 5), ("ch_count_600", 10)),
            _refused_words,
            quiet_s=600,
        ),
    ),
    flow_watchers=(Calls,),
)  # fmt: skip
