"""What comes in a minute: rows, evidence, alarms of the models, new entities, and the rows of the busiest addresses.

Guarantees: event time only; a minute is closed once a later one has begun, and rows that come later count in the minute
that is open; bounded (`MOST` addresses with a series of their own, the quietest given up).
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from risk.forecast import Series
from sensors.addresses import address_text
from sensors.values import Batch, FlowEvent, Kind, Rows

MINUTE_NS = 60_000_000_000
MOST = 32
TOLD = 8
"""Addresses of a minute that may get a series of their own, the busiest."""
NAMES = ("rows", "evidence", "alarms", "entities")


class Meter:
    """The counts of the open minute, and the series of the closed ones."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {name: Series() for name in NAMES}
        self.hosts: dict[str, Series] = {}
        self._open = -1
        self._counts: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._placed = 0

    def count(self, batch: Batch) -> None:
        """Take the rows of a batch in."""
        for kind, rows in batch.tables.items():
            if len(rows):
                self._rows(kind, rows, batch)

    def found(self, ts: int, alarm: bool) -> None:
        """Count one piece of evidence; `alarm` where a model of normal traffic gave it."""
        self._turn(ts // MINUTE_NS)
        self._counts["evidence"] += 1
        self._counts["alarms"] += alarm

    def placed(self, number: int) -> None:
        """Take the number of entities that were ever placed in the tables."""
        self._counts["entities"] += number - self._placed
        self._placed = number

    @property
    def now(self) -> int:
        """The open minute's first instant, ns; 0 before the first row."""
        return max(self._open, 0) * MINUTE_NS

    def _rows(self, kind: Kind, rows: Rows, batch: Batch) -> None:
        minutes = rows["ts"] // MINUTE_NS
        for minute in np.unique(minutes).tolist():
            part = rows[minutes == minute]
            self._turn(minute)
            self._counts["rows"] += len(part)
            self._originators(kind, part, batch)

    def _originators(self, kind: Kind, rows: Rows, batch: Batch) -> None:
        if kind is Kind.FLOW:
            begun = rows[(rows["event"] & FlowEvent.START) != 0]
            pairs = np.stack((begun["orig_hi"], begun["orig_lo"]), axis=1)
            found, numbers = np.unique(pairs, axis=0, return_counts=True)
            names = [address_text(*pair) for pair in found[np.argsort(-numbers, kind="stable")[:TOLD]].tolist()]
            self._busy.update(dict(zip(names, sorted(numbers.tolist(), reverse=True)[:TOLD], strict=True)))
        else:
            codes, numbers = np.unique(rows["orig"], return_counts=True)
            for place in np.argsort(-numbers, kind="stable")[:TOLD].tolist():
                if codes[place]:
                    self._busy[batch.texts[int(codes[place])]] += int(numbers[place])

    def _turn(self, minute: int) -> None:
        """Close the open minute where a later one begins."""
        if minute <= self._open:
            return
        if self._open >= 0:
            self._close()
        self._open = minute

    def _close(self) -> None:
        for name, series in self.series.items():
            series.take(self._open, self._counts[name])
        for host, _ in self._busy.most_common(TOLD):
            self.hosts.setdefault(host, Series())
        for host, series in self.hosts.items():
            series.take(self._open, self._busy[host])
        while len(self.hosts) > MOST:
            del self.hosts[min(self.hosts, key=lambda name: (self.hosts[name].mean, name))]
        self._counts.clear()
        self._busy.clear()


def rates(meter: Meter) -> Mapping[str, Series]:
    """Return the series of the busiest addresses, the busiest first."""
    return dict(sorted(meter.hosts.items(), key=lambda item: (-item[1].mean, item[0])))
