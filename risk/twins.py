"""One deed that two sensors tell, counted once.

A capture and the access log of the same server both tell a request; the journal and a log file both tell a failed
login. Whoever counts such rows would count the deed twice, and half the guesses would make a brute force. So of the
rows that agree in who, to whom and what, within `WINDOW_NS` of one another, as many count as the sensor told that told
most: the maximum, not the sum.

Guarantees: event time and the order of rows alone decide; bounded, what is forgotten is counted; as long as one sensor
alone tells of a kind its rows are only kept for those seconds. Rows of servers that both say their name, and say
different ones, are no twins. Two servers that leave their names out and are asked for the same within seconds look like
one.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensors.addresses import host_entity
from sensors.values import AuthOutcome, Batch, EntityKind, Kind, Rows

WINDOW_NS = 5_000_000_000
"""Logs give whole seconds, and are written when a request ends."""
CAPACITY = 1 << 16
DEED = {Kind.AUTH: ("orig", "user"), Kind.HTTP: ("orig", "method", "path"), Kind.DNS: ("orig", "query")}
"""What two rows must agree in, beside the sign of success of a login."""

Teller = tuple[str, str]
"""(sensor, server as it names it)."""


@dataclass(slots=True)
class _Deed:
    ts: int
    told: dict[Teller, int] = field(default_factory=dict)

    def fresh(self, teller: Teller, count: int) -> int:
        """Count what a sensor tells, and return how much of it no other sensor has told before."""
        mine = self.told[teller] = self.told.get(teller, 0) + count
        others = [number for other, number in self.told.items() if other != teller and not _apart(other, teller)]
        before = max(others, default=0)
        return min(count, max(mine - before, 0))


class Twins:
    """The deeds of the last seconds, and who told them."""

    def __init__(self) -> None:
        self._sensor: dict[Kind, str] = {}
        """The only sensor of a kind so far; "" once there are several."""
        self._latest: dict[Kind, list[Batch]] = {}
        """What the only sensor told in the last seconds."""
        self._deeds: dict[Kind, OrderedDict[tuple[str, ...], _Deed]] = {}
        self.dropped = 0
        self.evicted = 0

    def without(self, batch: Batch) -> Batch:
        """Return a batch without the rows that repeat another sensor's."""
        tables = {kind: self._table(kind, rows, batch) for kind, rows in batch.tables.items()}
        return Batch(batch.sources, batch.watermark, tables, batch.texts)

    def _table(self, kind: Kind, rows: Rows, batch: Batch) -> Rows:
        if kind not in DEED or not len(rows):
            return rows
        begin = self._several_from(kind, rows, batch)
        if begin == len(rows):
            return rows
        counts: NDArray[np.uint32] = rows["count"] if kind is Kind.AUTH else np.ones(len(rows), np.uint32)
        kept = counts.copy()
        for row in range(begin, len(rows)):
            if counts[row]:
                kept[row] = self._fresh(kind, rows[row], int(counts[row]), batch)
        gone = (counts > 0) & (kept == 0)
        if not (kept != counts).any():
            return rows
        self.dropped += int(gone.sum())
        rows = rows.copy()
        if kind is Kind.AUTH:
            rows["count"] = kept
        remaining: Rows = rows[~gone]
        return remaining

    def _several_from(self, kind: Kind, rows: Rows, batch: Batch) -> int:
        """Return the first row from which on more than one sensor tells of this kind, its past counted."""
        alone = self._sensor.setdefault(kind, batch.sources[int(rows["source"][0])])
        if not alone:
            return 0
        others = np.flatnonzero(rows["source"] != (batch.sources.index(alone) if alone in batch.sources else -1))
        begin = int(others[0]) if len(others) else len(rows)
        past = self._latest.setdefault(kind, [])
        if begin:
            past.append(Batch(batch.sources, 0, {kind: rows[:begin][-CAPACITY:]}, batch.texts))
            since = int(rows["ts"][begin - 1]) - WINDOW_NS
            past[:] = [part for part in past if part.tables[kind]["ts"][-1] >= since]
        if len(others):
            self._sensor[kind] = ""
            self._count_past(kind, self._latest.pop(kind), int(rows["ts"][begin]) - WINDOW_NS)
        return begin

    def _count_past(self, kind: Kind, past: Sequence[Batch], since: int) -> None:
        for part in past:
            for row in part.tables[kind]:
                if row["ts"] >= since:
                    self._fresh(kind, row, int(row["count"]) if kind is Kind.AUTH else 1, part)

    def _fresh(self, kind: Kind, row: np.void, count: int, batch: Batch) -> int:
        said = tuple(batch.texts[int(row[name])] for name in DEED[kind])
        if kind is Kind.AUTH:
            said = (*said, str(row["outcome"] == AuthOutcome.SUCCESS))
        ts, deeds = int(row["ts"]), self._deeds.setdefault(kind, OrderedDict())
        deed = deeds.get(said)
        if deed is None or ts - deed.ts > WINDOW_NS:
            deed = deeds[said] = _Deed(ts)
            if len(deeds) > CAPACITY:
                deeds.popitem(last=False)
                self.evicted += 1
        deed.ts = max(deed.ts, ts)
        deeds.move_to_end(said)
        return deed.fresh((batch.sources[int(row["source"])], batch.texts[int(row["resp"])]), count)

    def counts(self) -> Mapping[str, int]:
        """Return how many rows repeated another sensor's."""
        return {"twins_dropped": self.dropped, "twins_evicted": self.evicted}


def _apart(one: Teller, other: Teller) -> bool:
    """Return whether two tellers cannot tell the same: they are one sensor, or name two different servers.

    An address and a host name may well be the same server.
    """
    servers = one[1], other[1]
    if one[0] == other[0]:
        return True
    if not all(servers) or servers[0] == servers[1]:
        return False
    kinds = [host_entity(name).kind is EntityKind.IP for name in servers]
    return kinds[0] == kinds[1]
