"""Hosts by the minute: how strange a host's strangest row of a minute was, and what adds up over many minutes.

A host-minute's score is -log10 of its smallest p-value times its number of rows (Bonferroni); it rises only while the
minute goes on, so that it can be told at once. When event time reaches the next minute all of them are closed, in the
order in which hosts appeared, and how rare each was feeds the host's cumulative sum (Page 1954): a patient attacker
whose single minutes are hardly strange still adds up. Sums decay with `TAU_S`. At most `capacity` hosts have a sum;
the least recently seen goes first.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from risk.windows.keyed import Keyed

H = TypeVar("H", bound=Hashable)

MINUTE_NS = 60_000_000_000
TAU_S = 1800.0
DRIFT = 1.0
"""A minute adds to its host's sum what its rarity, in powers of ten, exceeds this by."""
HIGHEST = 12.0


@dataclass(frozen=True, slots=True)
class Closed(Generic[H]):
    """One host's minute, ended."""

    host: H
    ts: int
    """Event time at which it was closed, ns."""
    score: float
    total: float
    """The host's cumulative sum after it; 0 where none has begun."""


@dataclass(slots=True)
class _Minute:
    rows: int = 0
    best: float = 0.0
    score: float = 0.0


@dataclass(slots=True)
class _Sum:
    value: float = 0.0
    ts: int = 0


class HostMinutes(Generic[H]):
    """The open minute of each host that was active in it, and the sums of all."""

    def __init__(self, capacity: int) -> None:
        self._open: dict[H, _Minute] = {}
        self._capacity = capacity
        self._minute = 0
        self.crowded = 0
        """Rows of hosts beyond the capacity, in minutes that had more."""
        self._sums: Keyed[H, _Sum] = Keyed(capacity, _Sum)

    @property
    def evicted(self) -> int:
        """Return how many sums were forgotten for want of room."""
        return self._sums.evicted

    def closing(self, now: int, rarity: Callable[[list[float]], list[float]]) -> Iterator[Closed[H]]:
        """Close all open minutes where `now` (ns) lies in a later one.

        `rarity` turns scores into -log10 of how often usual host-minutes score as high: what everybody does adds up
        to nothing, however strange it is to the models.
        """
        minute = now // MINUTE_NS
        if minute <= self._minute:
            return
        ended, self._open = self._open, {}
        end = (self._minute + 1) * MINUTE_NS
        self._minute = minute
        rarities = rarity([each.score for each in ended.values()])
        for (host, each), rare in zip(ended.items(), rarities, strict=True):
            yield Closed(host, end, each.score, self._add(host, end, rare))

    def count(self, host: H, strength: float) -> float:
        """Count one row, -log10 of whose p-value is `strength`; return the score of the host's minute so far."""
        each = self._open.get(host)
        if each is None:
            if len(self._open) >= self._capacity:
                self.crowded += 1
                return 0.0
            each = self._open[host] = _Minute()
        each.rows += 1
        each.best = max(each.best, strength)
        each.score = max(each.score, min(each.best - math.log10(each.rows), HIGHEST))
        return each.score

    def _add(self, host: H, now: int, rarity: float) -> float:
        if rarity <= DRIFT and host not in self._sums:
            return 0.0
        total = self._sums[host]
        faded = total.value * math.exp(-max(now - total.ts, 0) / 1e9 / TAU_S)
        total.value, total.ts = max(faded + rarity - DRIFT, 0.0), now
        return total.value
