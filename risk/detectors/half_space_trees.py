"""Half-space trees (Tan, Ting, Liu 2011), grown and walked as river 0.26 does, compiled.

Given the same seed and the same features in the order of their names, trees, masses and scores are those of
`river.anomaly.HalfSpaceTrees` (tested to 1e-12). A score near 1 says that few of the latest `WINDOW` learnt rows lay
where this one lies; it is 0 until the first window has passed.
"""

import random
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from risk.detectors import kernel
from risk.detectors.base import Detector, Matrix, Vector
from risk.detectors.scale import unit

PADDING = 0.15
"""A split stays this share of the range away from its ends."""


class HalfSpaceTrees(Detector):
    """Random trees over the unit cube, and how many rows of the last window passed each node."""

    name = "half_space_trees"
    kept: ClassVar[tuple[str, ...]] = ("feature", "threshold", "mass", "latest", "count", "ready")

    def __init__(self, names: Sequence[str], seed: int, trees: int = 20, height: int = 8, window: int = 256) -> None:
        super().__init__(names)
        self.window, self.height = window, height
        inner, nodes = 2**height - 1, 2 ** (height + 1) - 1
        self.feature = np.zeros((trees, inner), np.int64)
        self.threshold = np.zeros((trees, inner))
        self.mass, self.latest = np.zeros((trees, nodes)), np.zeros((trees, nodes))
        self.count, self.ready = 0, 0
        dice = random.Random(seed)  # noqa: S311 - no secret: the trees are drawn as river draws them
        for tree in range(trees):
            self._grow(tree, 0, [(0.0, 1.0)] * len(self.names), dice)

    def score_many(self, rows: Matrix) -> Vector:
        """Return 0..1; 0 until the first window has passed."""
        return self.score_unit(unit(rows))

    def learn_many(self, rows: Matrix) -> None:
        """Count rows; after each window the counts become the reference. Equal to one by one."""
        self.learn_unit(unit(rows))

    def score_unit(self, rows: Matrix) -> Vector:
        """Score rows that lie on 0..1 already."""
        out = np.zeros(len(rows))
        if not self.ready:
            return out
        kernel.trees_score(rows, self.feature, self.threshold, self.mass, 0.1 * self.window, out)
        return np.asarray(1.0 - out / (len(self.feature) * self.window * (2 ** (self.height + 1) - 1)), np.float64)

    def learn_unit(self, rows: Matrix) -> None:
        """Learn rows that lie on 0..1 already."""
        self.learnt += len(rows)
        self.ready |= self.count + len(rows) >= self.window
        self.count = kernel.trees_learn(
            rows, self.feature, self.threshold, self.mass, self.latest, self.count, self.window
        )

    def _grow(self, tree: int, node: int, limits: list[tuple[float, float]], dice: random.Random) -> None:
        if node >= self.feature.shape[1]:
            return
        widths = [high - low for low, high in limits]
        feature = dice.choices(range(len(limits)), weights=widths)[0]
        low, high = limits[feature]
        split = dice.uniform(low + PADDING * (high - low), high - PADDING * (high - low))
        self.feature[tree, node], self.threshold[tree, node] = feature, split
        for child, part in ((2 * node + 1, (low, split)), (2 * node + 2, (split, high))):
            self._grow(tree, child, [*limits[:feature], part, *limits[feature + 1 :]], dice)
