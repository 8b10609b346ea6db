"""From scores to p-values by sliding conformal prediction (Vovk, Gammerman, Shafer 2005; Laxhammar 2014).

A p-value says how often a score this high came up among the latest `window` scores that were taken as usual. It is
valid as far as those and the new one are exchangeable; under drift the window follows. Below its resolution, 1 / (n+1),
an exponential tail is fitted to the highest scores (Pickands 1975, with shape 0): an estimate, no guarantee.
"""

import math
from bisect import bisect_left, insort
from collections import deque

TAIL = 50
"""Scores that the tail is fitted to."""


class SlidingConformal:
    """The latest scores that were taken as usual."""

    def __init__(self, window: int = 2000) -> None:
        self._latest: deque[float] = deque()
        self._window = window
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, score: float) -> None:
        """Take a score as usual; beyond the window the oldest leaves."""
        if len(self._latest) >= self._window:
            oldest = self._latest.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._latest.append(score)
        insort(self._sorted, score)

    def p_value(self, score: float) -> float:
        """Return how often usual scores are at least this high, in (0, 1]."""
        number = len(self._sorted)
        higher = number - bisect_left(self._sorted, score)
        if higher > 0 or number < 2 * TAIL:
            return (1 + higher) / (number + 1)
        return min(1 / (number + 1), self._tail(score))

    def _tail(self, score: float) -> float:
        floor = self._sorted[-TAIL]
        reach = sum(value - floor for value in self._sorted[-TAIL:]) / TAIL
        if reach <= 0:
            return 1.0
        return TAIL / len(self._sorted) * math.exp(-min((score - floor) / reach, 700.0))
