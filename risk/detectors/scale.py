"""Standardised features: how far each lies from what is usual, in its own usual spreads.

Raw features are first bent: up to `KNEE` they stay, beyond it they grow with the logarithm, because counts and bytes
spread over many powers of ten. Then mean and spread are followed, forgetting exponentially once `MEMORY` rows are
known. Only learnt rows move them: nobody stretches the scale by rows that the gate keeps out. A feature that never
moved has the least spread, `FLOOR`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.detectors.base import Detector, Matrix, Vector

FLOOR = 0.02
"""Least spread, on the bent scale."""
KNEE = 16.0
FAR = 20.0
"""Standardised values are cut at this many spreads either way."""
MEMORY = 20_000
"""Rows after which the oldest count a third."""


def bend(raw: NDArray[np.floating[Any]]) -> Matrix:
    """Return x up to `KNEE`, beyond it KNEE (1 + log(|x| / KNEE)) with its sign; what is no number counts as 0."""
    clean = np.asarray(raw, np.float64)
    if not np.isfinite(clean).all():
        clean = np.nan_to_num(clean, nan=0.0, posinf=1e300, neginf=-1e300)
    size = np.abs(clean)
    bent = np.maximum(size, KNEE)
    return np.copysign(np.where(size <= KNEE, size, KNEE + KNEE * np.log(bent / KNEE)), clean)


def unbend(bent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what was bent."""
    size = np.abs(bent)
    return np.copysign(np.where(size <= KNEE, size, KNEE * np.exp(np.maximum(size, KNEE) / KNEE - 1.0)), bent)


def unit(rows: Matrix) -> Matrix:
    """Return standardised values on 0..1 (usual ones around 0.5), fine near the middle and never at the ends."""
    return 0.5 + 0.5 * rows / (1.0 + np.abs(rows))


class Scale(Detector):
    """Mean and spread of each feature, over raw rows. Its score is the largest distance in spreads."""

    name = "scale"
    kept: ClassVar[tuple[str, ...]] = ("mean", "variance")

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.mean = np.zeros(len(self.names))
        self.variance = np.zeros(len(self.names))

    def standardise(self, raw: NDArray[np.floating[Any]]) -> Matrix:
        """Return rows in usual spreads, within -`FAR`..`FAR`; raw features in, any numbers."""
        return self._standard(bend(raw))

    def score_many(self, rows: Matrix) -> Vector:
        """Return the largest distance from the mean, in spreads."""
        return np.asarray(np.abs(self.standardise(rows)).max(axis=1), np.float64)

    def learn_many(self, rows: NDArray[np.floating[Any]]) -> None:
        """Follow raw rows. Rows learnt at once weigh alike."""
        if not len(rows):
            return
        values = bend(rows)
        self.learnt += len(rows)
        rate = len(rows) / min(self.learnt, MEMORY + len(rows))
        mean, variance = values.mean(axis=0), values.var(axis=0)
        off = mean - self.mean
        self.variance += rate * (variance - self.variance) + rate * (1 - rate) * off * off
        self.mean += rate * off

    def _standard(self, values: Matrix) -> Matrix:
        spread = np.maximum(np.sqrt(self.variance), FLOOR)
        return np.clip((values - self.mean) / spread, -FAR, FAR)
