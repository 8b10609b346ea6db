"""KitNET (Mirsky et al. 2018): small autoencoders over groups of related features, and one over their errors.

The first `GRACE` learnt rows only teach which features move together; from then on each row is one step of gradient
descent. Given the same groups and first weights, training and scores are those of PySAD's `KitNet` (tested to 1e-9).
Scores are 0 until `2 * GRACE` rows were learnt. After `SETTLED` rows it learns no more, as the original after its
grace: autoencoders that go on learn a burst of equal rows within a few hundred of them, and forget it as fast.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.detectors import kernel
from risk.detectors.base import Detector, Matrix, Vector
from risk.errors import StateError

GRACE = 512
SETTLED = 8192
WIDEST = 10
"""Features of one autoencoder at most."""
RATE = 0.1
HIDDEN = 0.75
"""Hidden units for each visible one."""


class KitNET(Detector):
    """The autoencoders; the last of the arrays' first axis is the outer one."""

    name = "kitnet"
    kept: ClassVar[tuple[str, ...]] = (
        "members", "sizes", "codes", "weights", "hidden_bias", "visible_bias", "low", "high", "together", "total",
    )  # fmt: skip

    def __init__(self, names: Sequence[str], seed: int, grace: int = GRACE) -> None:
        super().__init__(names)
        self.grace, self._seed = grace, seed
        width = len(self.names)
        self.together, self.total = np.zeros((width, width)), np.zeros(width)
        nets, wide = width + 1, max(WIDEST, width)
        self.members = np.zeros((nets, wide), np.int64)
        self.sizes, self.codes = np.zeros(nets, np.int64), np.zeros(nets, np.int64)
        self.weights = np.zeros((nets, wide, wide))
        self.hidden_bias, self.visible_bias = np.zeros((nets, wide)), np.zeros((nets, wide))
        self.low, self.high = np.full((nets, wide), np.inf), np.full((nets, wide), -np.inf)

    def score_many(self, rows: Matrix) -> Vector:
        """Return the root mean square error of the outer autoencoder; 0 until two graces have passed."""
        out = np.zeros(len(rows))
        if self.warm:
            kernel.nets_score(np.ascontiguousarray(rows), *self._arrays(), out)  # type: ignore[call-arg]  # eight arrays
        return out

    def learn_many(self, rows: Matrix) -> None:
        """Learn rows one by one."""
        rows = rows[: max(SETTLED - self.learnt, 0)]
        first = rows[: max(self.grace - self.learnt, 0)]
        if len(first):
            self.together += first.T @ first
            self.total += first.sum(axis=0)
            if self.learnt + len(first) == self.grace:
                self.lay_out(self._groups())
        if len(first) < len(rows):
            kernel.nets_learn(np.ascontiguousarray(rows[len(first) :]), *self._arrays(), RATE)  # type: ignore[call-arg]  # eight arrays
        self.learnt += len(rows)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a state; raise `StateError` where a walk would leave its arrays."""
        super().restore(state)
        wide = self.weights.shape[1]
        sound = (
            (self.members >= 0).all() and (self.members < len(self.names)).all()
            and (self.sizes >= 0).all() and (self.sizes <= wide).all()
            and (self.codes >= 0).all() and (self.codes <= self.sizes).all()
        )  # fmt: skip
        if not sound or (self.learnt >= 2 * self.grace and not self.sizes[0]):
            raise StateError("the saved autoencoders are damaged")

    @property
    def warm(self) -> bool:
        """Return whether it has its groups and was trained for as long as it took to find them."""
        return self.learnt >= 2 * self.grace

    def forget(self, rows: int) -> None:
        """Learn again for a quarter of the settling time; ranges begin anew."""
        if self.learnt >= SETTLED:
            self.learnt = SETTLED - SETTLED // 4
            self.low[:], self.high[:] = np.inf, -np.inf

    def lay_out(self, groups: Sequence[Sequence[int]]) -> None:
        """Draw the autoencoders for groups of features, uniformly within 1 / visible units as the original does."""
        dice = np.random.RandomState(self._seed)
        used = [*map(len, groups), len(groups)]
        for net, size in enumerate(used):
            # The outer one goes last, behind those that a coarser grouping leaves without members.
            self.sizes[net], self.codes[net] = size, int(np.ceil(size * HIDDEN))
            self.weights[net, :size, : self.codes[net]] = dice.uniform(-1 / size, 1 / size, (size, self.codes[net]))
        for net, group in enumerate(groups):
            self.members[net, : len(group)] = group

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        nets = int(np.count_nonzero(self.sizes))
        arrays = (
            self.members, self.sizes, self.codes, self.weights, self.hidden_bias, self.visible_bias, self.low, self.high
        )  # fmt: skip
        return tuple(array[:nets] for array in arrays)

    def _groups(self) -> list[list[int]]:
        """Group features by single linkage on their correlation, no group wider than `WIDEST`."""
        covariance = self.together / self.grace - np.outer(self.total, self.total) / self.grace**2
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        distance = np.maximum(1.0 - covariance / np.outer(spread, spread), 0.0)
        groups = [[place] for place in range(len(spread))]
        pairs = np.column_stack(np.triu_indices(len(spread), 1))
        for left, right in pairs[np.argsort(distance[pairs[:, 0], pairs[:, 1]], kind="stable")].tolist():
            one = next(group for group in groups if left in group)
            other = next(group for group in groups if right in group)
            if one is not other and len(one) + len(other) <= WIDEST:
                one += other
                groups.remove(other)
        return groups
