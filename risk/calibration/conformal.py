"""Sliding conformal prediction: p-values against the latest scores that were taken as usual.

A p-value is valid as far as those and the new one are exchangeable (Vovk, Gammerman, Shafer 2005; Laxhammar 2014);
under drift the window follows. Below its resolution, 1 / (n + 1), the tail of `risk.calibration.tail` is used.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.calibration.tail import Tail, Vector
from risk.errors import StateError

WINDOW = 4000


class SlidingConformal:
    """The latest scores that were taken as usual."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._latest = np.zeros(0)
        self._tail = Tail.fit(self._latest)

    def __len__(self) -> int:
        return len(self._latest)

    def add_many(self, scores: Vector) -> None:
        """Take scores as usual, in their order; beyond the window the oldest leave."""
        if not len(scores):
            return
        leaving = max(len(self._latest) + len(scores) - self._window, 0)
        both = np.concatenate((self._latest, scores))
        ordered = _without(self._tail.scores, both[: min(leaving, len(self._latest))])
        self._latest = both[leaving:]
        fresh = np.sort(scores[-self._window :])
        self._tail = Tail.fit(np.insert(ordered, np.searchsorted(ordered, fresh), fresh))

    def p_values(self, scores: Vector) -> Vector:
        """Return how often usual scores are at least as high as each, in (0, 1]."""
        return self._tail.p_values(scores)

    def add(self, score: float) -> None:
        """Take one score as usual."""
        self.add_many(np.array([score]))

    def p_value(self, score: float) -> float:
        """Return how often usual scores are at least this high, in (0, 1]."""
        return float(self.p_values(np.array([score]))[0])

    def state(self) -> Vector:
        """Return the scores in their order."""
        return self._latest.copy()

    def restore(self, state: Mapping[str, NDArray[Any]], name: str) -> None:
        """Take over the scores saved under a name; raise `StateError`."""
        latest = state.get(name)
        if latest is None or latest.ndim != 1 or latest.dtype != np.float64 or len(latest) > self._window:
            raise StateError(f"{name} are no scores")
        self._latest = np.array(latest)
        self._tail = Tail.fit(np.sort(self._latest))


def _without(ordered: Vector, leaving: Vector) -> Vector:
    """Return ascending scores without those that leave; equal ones leave as often as they are named."""
    if not len(leaving):
        return ordered
    gone = np.sort(leaving)
    _, first, number = np.unique(gone, return_index=True, return_counts=True)
    nth = np.arange(len(gone)) - np.repeat(first, number)
    return np.delete(ordered, np.searchsorted(ordered, gone) + nth)
