"""RS-Hash for streams (Sathe, Aggarwal 2016): how often a row's cell in random grids over random subspaces was met.

Cells are counted in a count-min sketch with counts that decay by the number of rows since; given the grids of PySAD's
`RSHash`, scores agree with it as far as hash collisions allow (tested).
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from risk.detectors import kernel
from risk.detectors.base import Detector, Matrix, Vector
from risk.detectors.scale import unit

DECAY = 0.001
"""A count halves each 1 / DECAY rows."""


class RSHash(Detector):
    """Grids, and the decayed counts of their cells."""

    name = "rs_hash"
    kept: ClassVar[tuple[str, ...]] = ("sizes", "used", "shifts", "dims", "counts", "stamps", "now")

    def __init__(
        self, names: Sequence[str], seed: int, parts: int = 24, decay: float = DECAY, width: int = 1 << 14
    ) -> None:
        super().__init__(names)
        self.decay = decay
        dice, known = np.random.default_rng(seed), max(1000.0, 1.0 / (1.0 - 2.0**-decay))
        edge = 1.0 / np.sqrt(known)
        self.sizes = dice.uniform(edge, 1.0 - edge, parts)
        most = np.log(known) / np.log(np.maximum(2.0, 1.0 / self.sizes))
        high = np.floor(most).astype(np.int64)
        low = np.minimum(np.ceil(1 + 0.5 * most).astype(np.int64), high)
        self.used = np.minimum(dice.integers(low, high + 1), len(self.names))
        self.shifts = np.zeros((parts, int(self.used.max())))
        self.dims = np.zeros(self.shifts.shape, np.int64)
        for part, used in enumerate(self.used):
            self.dims[part, :used] = dice.choice(len(self.names), used, replace=False)
            self.shifts[part, :used] = dice.uniform(0, self.sizes[part], used)
        self.counts = np.zeros((2, width))
        self.stamps = np.zeros((2, width), np.int64)
        self.now = 1

    def score_many(self, rows: Matrix) -> Vector:
        """Return minus the mean of log2(1 + count) of a row's cells."""
        return self.score_unit(unit(rows))

    def learn_many(self, rows: Matrix) -> None:
        """Count rows. Equal to one by one."""
        self.learn_unit(unit(rows))

    def score_unit(self, rows: Matrix) -> Vector:
        """Score rows that lie on 0..1 already."""
        out = np.zeros(len(rows))
        kernel.hash_score(
            rows, self.sizes, self.used, self.shifts, self.dims, self.counts, self.stamps, self.now, self.decay, out
        )
        return out

    def learn_unit(self, rows: Matrix) -> None:
        """Learn rows that lie on 0..1 already."""
        kernel.hash_learn(
            rows, self.sizes, self.used, self.shifts, self.dims, self.counts, self.stamps, self.now, self.decay
        )
        self.now += len(rows)
        self.learnt += len(rows)
