"""Histogram surprise: how unlikely each feature's value is by itself, added up (HBOS: Goldstein, Dengel 2012).

Bins are equal parts of the squashed scale, finer around what is usual; counts forget exponentially. It sees no
combination of features, and says which feature it was: `each_many` gives the summands.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.detectors.base import Detector, Matrix, Vector
from risk.detectors.loda import count_bins, surprise
from risk.detectors.scale import unit

BINS = 40


class Histogram(Detector):
    """A histogram a feature."""

    name = "histogram"
    kept: ClassVar[tuple[str, ...]] = ("counts",)

    def __init__(self, names: Sequence[str], memory: int = 10_000) -> None:
        super().__init__(names)
        self.memory = memory
        self.counts = np.zeros((len(self.names), BINS))
        self._surprise: Matrix | None = None

    def score_many(self, rows: Matrix) -> Vector:
        """Return the sum of -log density over the features."""
        return np.asarray(self.each_many(rows).sum(axis=1), np.float64)

    def each_many(self, rows: Matrix) -> Matrix:
        """Return -log density of each feature of each row; 0 while nothing was learnt."""
        if not self.learnt:
            return np.zeros(rows.shape)
        if self._surprise is None:
            self._surprise = surprise(self.counts)
        return self._surprise.ravel()[self._bins(rows)]

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
        places = np.minimum((unit(rows) * BINS).astype(np.intp), BINS - 1)
        return places + np.arange(len(self.names)) * BINS
