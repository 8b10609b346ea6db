"""Mahalanobis distance to a mean and covariance that forget exponentially.

Without forgetting it is the distance of scikit-learn's `EmpiricalCovariance` (tested to 1e-9), but for a ridge that
keeps constant features finite. Rows learnt at once weigh alike.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from risk.detectors.base import Detector, Matrix, Vector

RIDGE = 1e-3
"""Added to each variance, in squared usual spreads."""


class Mahalanobis(Detector):
    """Mean and covariance of learnt rows."""

    name = "mahalanobis"
    kept: ClassVar[tuple[str, ...]] = ("mean", "covariance")

    def __init__(self, names: Sequence[str], memory: int = 5000, ridge: float = RIDGE) -> None:
        super().__init__(names)
        self.memory, self.ridge = memory, ridge
        width = len(self.names)
        self.mean, self.covariance = np.zeros(width), np.zeros((width, width))
        self._inverse: Matrix | None = None

    def score_many(self, rows: Matrix) -> Vector:
        """Return the distance, in usual spreads."""
        if not self.learnt:
            return np.zeros(len(rows))
        if self._inverse is None:
            ridged = self.covariance + self.ridge * np.eye(len(self.names))
            self._inverse = np.asarray(np.linalg.inv(ridged), np.float64)
        off = rows - self.mean
        return np.asarray(np.sqrt(np.maximum(((off @ self._inverse) * off).sum(axis=1), 0.0)), np.float64)

    def forget(self, rows: int) -> None:
        """Let mean and covariance weigh no more than so many rows."""
        self.learnt = min(self.learnt, rows)

    def learn_many(self, rows: Matrix) -> None:
        """Follow rows."""
        if not len(rows):
            return
        self.learnt += len(rows)
        rate = len(rows) / min(self.learnt, self.memory + len(rows))
        mean = rows.mean(axis=0)
        around, off = rows - mean, mean - self.mean
        self.covariance += rate * (around.T @ around / len(rows) - self.covariance)
        self.covariance += rate * (1 - rate) * np.outer(off, off)
        self.mean += rate * off
        self._inverse = None
