"""How rare a score is among known usual ones, also beyond the highest of them.

Within the known scores a p-value is the conformal one: (1 + how many are at least as high) / (n + 1), which is valid as
far as the new score is exchangeable with them (Vovk, Gammerman, Shafer 2005). Where none is as high it is taken from a
generalised Pareto tail fitted to the highest scores (Pickands 1975), by probability-weighted moments (Hosking, Wallis
1987): an estimate, no guarantee. It falls with the score, never below `LEAST`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SHARE = 0.05
"""Share of the scores that the tail is fitted to."""
FEWEST = 20
"""Scores that a tail needs."""
LEAST = 1e-12
MOST_SHAPE = 0.9


@dataclass(frozen=True, slots=True)
class Tail:
    """The highest of some known scores, and the tail beyond them."""

    scores: Vector
    """Ascending: all known scores, or the highest of them."""
    number: int
    """How many scores are known in all."""
    threshold_at: float
    """Where the tail begins."""
    share: float
    """Of the known scores above it; 0 where no tail could be fitted."""
    shape: float
    scale: float

    @classmethod
    def fit(cls, scores: Vector, number: int | None = None) -> "Tail":
        """Return the tail of ascending scores; `number` where they are only the highest of so many."""
        number = len(scores) if number is None else number
        top = min(round(number * SHARE), len(scores) - 1)
        if top < FEWEST:
            return cls(scores, number, 0.0, 0.0, 0.0, 1.0)
        threshold = float(scores[-top - 1])
        shape, scale = fit_pareto(scores[-top:] - threshold)
        return cls(scores, number, threshold, top / number if scale > 0 else 0.0, shape, scale)

    def p_values(self, scores: Vector) -> Vector:
        """Return how often usual scores are at least as high as each, in (0, 1]."""
        higher = len(self.scores) - np.searchsorted(self.scores, scores, side="left")
        empirical = np.asarray((1.0 + higher) / (self.number + 1.0), np.float64)
        if not self.share:
            return empirical
        beyond = np.minimum(empirical, self._beyond(scores))
        return np.asarray(np.where(higher > 0, empirical, beyond), np.float64)

    def threshold(self, p_value: float) -> float:
        """Return a score above which p-values lie below this one; infinity where no score is known."""
        if not len(self.scores):
            return float("inf")
        place = int(p_value * (self.number + 1)) - 1
        if place >= 0:
            return float(self.scores[-min(place + 1, len(self.scores))])
        highest = float(self.scores[-1])
        if not self.share:
            return highest
        ratio = np.log(self.share / p_value)
        reach = ratio if self.shape < 1e-6 else np.expm1(self.shape * ratio) / self.shape
        return max(highest, float(self.threshold_at + reach * self.scale))

    def _beyond(self, scores: Vector) -> Vector:
        reach = np.maximum(scores - self.threshold_at, 0.0) / self.scale
        log_p = -reach if self.shape < 1e-6 else -np.log1p(self.shape * reach) / self.shape
        return np.asarray(np.maximum(self.share * np.exp(log_p), LEAST), np.float64)


def fit_pareto(excesses: Vector) -> tuple[float, float]:
    """Return (shape, scale) of ascending excesses; shape within 0..`MOST_SHAPE`, so that the tail never ends.

    A negative shape would give everything beyond some score the p-value 0. Scale 0 says that all excesses are alike.
    """
    number = len(excesses)
    mean = float(excesses.mean())
    if mean <= 0 or excesses[0] == excesses[-1]:
        return 0.0, 0.0
    above = 1.0 - (np.arange(1, number + 1) - 0.35) / number
    weighted = float((above * excesses).mean())
    shape = 2.0 - mean / (mean - 2.0 * weighted) if mean > 2.0 * weighted else MOST_SHAPE
    shape = min(max(shape, 0.0), MOST_SHAPE)
    return shape, mean * (1.0 - shape)  # the mean of a generalised Pareto variable is scale / (1 - shape)
