"""LODA (Pevny 2016): the mean surprise of sparse random projections, each in a histogram that forgets exponentially.

Projections are drawn as in the paper, scaled to length 1; bins are fixed, because standardised rows have a known range.
On PySAD's own projections its ranking agrees with PySAD's `LODA` (rank correlation tested).
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.detectors.base import Detector, Matrix, Vector

BINS = 60
REACH = 6.0
"""The bins cover -REACH..REACH spreads; what lies beyond falls into the outermost."""


class LODA(Detector):
    """Projections and their histograms."""

    name = "loda"
    kept: ClassVar[tuple[str, ...]] = ("directions", "counts")

    def __init__(self, names: Sequence[str], seed: int, cuts: int = 64, memory: int = 10_000) -> None:
        super().__init__(names)
        self.memory = memory
        dice, width = np.random.default_rng(seed), len(self.names)
        used = max(1, round(np.sqrt(width)))
        self.directions = np.zeros((width, cuts))
        for cut in range(cuts):
            self.directions[dice.choice(width, used, replace=False), cut] = dice.normal(size=used)
        self.directions /= np.linalg.norm(self.directions, axis=0)
        self.counts = np.zeros((cuts, BINS))
        self._surprise: Matrix | None = None

    def score_many(self, rows: Matrix) -> Vector:
        """Return the mean of -log density over the projections."""
        if not self.learnt:
            return np.zeros(len(rows))
        if self._surprise is None:
            self._surprise = surprise(self.counts)
        return np.asarray(self._surprise.ravel()[self._bins(rows)].mean(axis=1), np.float64)

    def forget(self, rows: int) -> None:
        """Let counts weigh no more than so many rows."""
        self.counts *= min(1.0, rows / max(float(self.counts[0].sum()), 1.0))
        self._surprise = None

    def learn_many(self, rows: Matrix) -> None:
        """Count rows. Rows learnt at once weigh alike."""
        self.learnt += len(rows)
        count_bins(self.counts, self._bins(rows), self.memory)
        self._surprise = None

    def _bins(self, rows: Matrix) -> NDArray[np.intp]:
        places = ((rows @ self.directions + REACH) * (BINS / (2 * REACH))).astype(np.intp)
        return np.clip(places, 0, BINS - 1) + np.arange(self.directions.shape[1]) * BINS


def surprise(counts: Matrix) -> Matrix:
    """Return -log((count + 1) / (total + bins)) of each bin."""
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.log(total + counts.shape[1]) - np.log(counts + 1.0), np.float64)


def count_bins(counts: Matrix, bins: NDArray[np.intp], memory: int) -> None:
    """Decay counts by the number of rows and add the rows' bins, numbered through all histograms."""
    counts *= np.exp(-len(bins) / memory)
    counts += np.bincount(bins.ravel(), minlength=counts.size).reshape(counts.shape)
