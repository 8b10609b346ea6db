"""Sliding conformal prediction: p-values against the latest scores that were taken as usual.

A p-value is valid as far as those and the new one are exchangeable (Vovk, Gammerman, Shafer 2005; Laxhammar 2014);
under drift the window follows. Common scores are compared with the latest `window`; the highest 5 % are kept `LONGER`
times as long, because rare scores need many to compare with. Beyond the highest, see `risk.calibration.tail`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.calibration.tail import SHARE, Tail, Vector
from risk.errors import StateError

WINDOW = 4096
LONGER = 16
YOUNG = 2
"""After so many windows the high scores of all but the latest are dropped, once."""
FEWEST = 200
"""Scores from which on the highest are told from the rest."""


class SlidingConformal:
    """The latest scores that were taken as usual, and the high ones of a longer time."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._latest = np.zeros(0)
        self._sorted = np.zeros(0)
        self._high, self._when = np.zeros(0), np.zeros(0, np.int64)
        self._taken = self._begin = 0
        self._tail = Tail.fit(self._latest)

    def __len__(self) -> int:
        return len(self._latest)

    def add_many(self, scores: Vector) -> None:
        """Take scores as usual, in their order; the oldest leave."""
        if not len(scores):
            return
        self._keep_high(scores)
        leaving = max(len(self._latest) + len(scores) - self._window, 0)
        both = np.concatenate((self._latest, scores))
        ordered = _without(self._sorted, both[: min(leaving, len(self._latest))])
        self._latest = both[leaving:]
        fresh = np.sort(scores[-self._window :])
        self._sorted = np.insert(ordered, np.searchsorted(ordered, fresh), fresh)

    def p_values(self, scores: Vector) -> Vector:
        """Return how often usual scores are at least as high as each, in (0, 1]."""
        number = len(self._sorted)
        higher = number - np.searchsorted(self._sorted, scores, side="left")
        common = np.asarray((1.0 + higher) / (number + 1.0), np.float64)
        if number < FEWEST:
            return common
        rare = np.minimum(self._tail.p_values(scores), SHARE)
        return np.asarray(np.where(common < SHARE, rare, common), np.float64)

    def threshold(self, p_value: float) -> float:
        """Return a score above which p-values lie below this one (at most 5 %); infinite while too few are known."""
        if len(self) < FEWEST:
            return np.inf
        return self._tail.threshold(p_value)

    def add(self, score: float) -> None:
        """Take one score as usual."""
        self.add_many(np.array([score]))

    def p_value(self, score: float) -> float:
        """Return how often usual scores are at least this high, in (0, 1]."""
        return float(self.p_values(np.array([score]))[0])

    def forget(self, scores: int) -> None:
        """Keep the latest so many scores."""
        latest = self._latest[-scores:]
        self._begin_anew()
        self.add_many(latest)

    def state(self, name: str) -> dict[str, NDArray[Any]]:
        """Return what is known, as arrays under names that begin with `name`."""
        return {
            f"{name}.latest": self._latest.copy(), f"{name}.high": self._high.copy(), f"{name}.when": self._when.copy(),
            f"{name}.taken": np.array([self._taken, self._begin]),
        }  # fmt: skip

    def restore(self, state: Mapping[str, NDArray[Any]], name: str) -> None:
        """Take over what `state` gave under the same name; raise `StateError`."""
        parts = [state.get(f"{name}.{part}") for part in ("latest", "high", "when", "taken")]
        if any(part is None for part in parts):
            raise StateError(f"the saved state lacks scores of {name}")
        latest, high, when, taken = (np.array(part) for part in parts)
        numbers = latest.ndim == high.ndim == 1 and latest.dtype == high.dtype == np.float64
        if not numbers or when.shape != high.shape or when.dtype != np.int64 or taken.shape != (2,):
            raise StateError(f"{name} are no scores")
        self._latest, self._sorted = latest[-self._window :], np.sort(latest[-self._window :])
        self._high, self._when = high, when
        self._taken, self._begin = map(int, taken)
        self._tail = Tail.fit(np.sort(high), self._known())

    def _keep_high(self, scores: Vector) -> None:
        floor = -np.inf
        if len(self._sorted) >= FEWEST:
            floor = self._sorted[-round(len(self._sorted) * SHARE) - 1]
        places = np.flatnonzero(scores >= floor)
        staying = self._when > self._taken + len(scores) - self._window * LONGER
        self._high = np.concatenate((self._high[staying], scores[places]))
        self._when = np.concatenate((self._when[staying], self._taken + places))
        self._taken += len(scores)
        if not self._begin and self._taken >= YOUNG * self._window:
            # The first scores were those of models that knew little; they say nothing of later ones.
            self._begin = self._taken - self._window
            staying = self._when >= self._begin
            self._high, self._when = self._high[staying], self._when[staying]
        self._tail = Tail.fit(np.sort(self._high), self._known())

    def _known(self) -> int:
        return min(self._taken - self._begin, self._window * LONGER)


def _without(ordered: Vector, leaving: Vector) -> Vector:
    """Return ascending scores without those that leave; equal ones leave as often as they are named."""
    if not len(leaving):
        return ordered
    gone = np.sort(leaving)
    _, first, number = np.unique(gone, return_index=True, return_counts=True)
    nth = np.arange(len(gone)) - np.repeat(first, number)
    return np.delete(ordered, np.searchsorted(ordered, gone) + nth)
