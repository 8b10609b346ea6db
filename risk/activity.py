"""Who shares an address, and how much of the traffic is its: what is asked before somebody is cut off.

Guarantees: event time only; about the last ten to twenty minutes (two stretches of `STRETCH_S`, the older one dropped
whole); bounded: of a batch only the busiest `MOST` originators are told apart, at most `MAX_KEYS` are remembered. It
never changes a risk.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sensors.addresses import address_text
from sensors.values import AuthOutcome, Batch, FlowEvent, Kind, Rows

STRETCH_S = 600
MOST = 4096
MAX_KEYS = 1 << 16
MAX_USERS = 16
"""Users remembered of one address; more than a few already say that it is shared."""


@dataclass(frozen=True, slots=True)
class Share:
    """What was seen of one address lately."""

    window_s: float
    users: int
    """Different users that logged in from it, or that a proxy named."""
    connections: int
    all_connections: int
    """Connections from everywhere."""


@dataclass(slots=True)
class _Stretch:
    """What was counted in one stretch of event time."""

    start: int
    connections: Counter[str] = field(default_factory=Counter)
    users: dict[str, set[str]] = field(default_factory=dict)
    all: int = 0

    def count(self, name: str, number: int) -> None:
        if name in self.connections or len(self.connections) < MAX_KEYS:
            self.connections[name] += number

    def user(self, name: str, user: str) -> None:
        if name not in self.users and len(self.users) >= MAX_KEYS:
            return
        known = self.users.setdefault(name, set())
        if len(known) < MAX_USERS:
            known.add(user)


class Activity:
    """Counts connections and users of addresses, batch by batch."""

    def __init__(self) -> None:
        self._older = self._newer = _Stretch(0)

    def count(self, batch: Batch) -> None:
        """Take a merged batch in."""
        for kind, rows in batch.tables.items():
            if not len(rows):
                continue
            self._turn(int(rows["ts"][-1]))
            if kind is Kind.FLOW:
                self._flows(rows)
            elif kind in (Kind.AUTH, Kind.HTTP):
                self._lines(kind, rows, batch.texts)

    def share(self, name: str) -> Share:
        """Return what was seen of an address (canonical text) lately."""
        stretches = (self._older, self._newer) if self._older is not self._newer else (self._newer,)
        users = set[str]().union(*(stretch.users.get(name, ()) for stretch in stretches))
        return Share(
            float(STRETCH_S * len(stretches)), len(users),
            sum(stretch.connections[name] for stretch in stretches), sum(stretch.all for stretch in stretches),
        )  # fmt: skip

    def _turn(self, now: int) -> None:
        if now - self._newer.start >= STRETCH_S * 1_000_000_000:
            fresh = _Stretch(now)
            self._older, self._newer = (self._newer if self._newer.start else fresh), fresh

    def _flows(self, rows: Rows) -> None:
        begun = rows[(rows["event"] & FlowEvent.START) != 0]
        self._newer.all += len(begun)
        pairs = np.stack((begun["orig_hi"], begun["orig_lo"]), axis=1)
        addresses, numbers = np.unique(pairs, axis=0, return_counts=True)
        busiest = np.argsort(-numbers, kind="stable")[:MOST]
        for (high, low), number in zip(addresses[busiest].tolist(), numbers[busiest].tolist(), strict=True):
            self._newer.count(address_text(high, low), number)

    def _lines(self, kind: Kind, rows: Rows, known: Sequence[str]) -> None:
        self._newer.all += len(rows)
        for code, number in zip(*(part.tolist() for part in np.unique(rows["orig"], return_counts=True)), strict=True):
            self._newer.count(known[code], number)
        let_in = rows[rows["outcome"] == AuthOutcome.SUCCESS] if kind is Kind.AUTH else rows
        named = let_in[let_in["user"] > 0]
        for orig, user in set(zip(named["orig"].tolist(), named["user"].tolist(), strict=True)):
            self._newer.user(known[orig], known[user])
