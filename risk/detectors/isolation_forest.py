"""An isolation forest (Liu, Ting, Zhou 2008), grown by scikit-learn once and walked here as plain arrays.

It is frozen: it cannot learn on. Scores are those of `IsolationForest.score_samples` with the sign turned (tested to
1e-9). Walking needs no scikit-learn, and what is kept is no pickle.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.detectors import kernel
from risk.detectors.base import Detector, Matrix, State, Vector
from risk.errors import StateError

TREES = 32
SAMPLE = 256
"""Rows that each tree is grown from."""


class IsolationForest(Detector):
    """Trees laid out in one array: children as indices, -1 at leaves."""

    name = "isolation_forest"
    kept: ClassVar[tuple[str, ...]] = ("roots", "left", "right", "feature", "threshold", "path", "sample")

    def __init__(self, names: Sequence[str], seed: int) -> None:
        super().__init__(names)
        self.seed = seed
        self.roots = self.left = self.right = self.feature = np.zeros(0, np.int64)
        self.threshold = self.path = np.zeros(0)
        self.sample = SAMPLE

    def score_many(self, rows: Matrix) -> Vector:
        """Return 0..1: 2^(-mean path length / usual path length)."""
        out = np.zeros(len(rows))
        if len(self.roots):
            kernel.forest_depth(
                np.ascontiguousarray(rows), self.roots, self.left, self.right, self.feature, self.threshold, self.path,
                out,
            )  # fmt: skip
            out = np.exp2(-out / usual_path(np.array([self.sample]))[0])
        return out

    def learn_many(self, rows: Matrix) -> None:
        """Grow the forest from rows; once, it learns nothing after that."""
        if self.learnt:
            return
        # Imported here: only training needs scikit-learn, and it takes a second.
        from sklearn.ensemble import IsolationForest as Original  # type: ignore[import-untyped]  # it has no types

        self.sample = min(SAMPLE, len(rows))
        forest = Original(n_estimators=TREES, max_samples=self.sample, random_state=self.seed).fit(rows)
        self.take(forest)
        self.learnt = len(rows)

    def take(self, forest: object) -> None:
        """Lay out the trees of a fitted forest of scikit-learn."""
        parts: list[list[NDArray[Any]]] = [[], [], [], [], []]
        roots, base = [], 0
        # scikit-learn has no type information; these attributes are documented in its user guide.
        for estimator, used in zip(forest.estimators_, forest.estimators_features_, strict=True):  # type: ignore[attr-defined]
            tree = estimator.tree_
            inner = tree.children_left >= 0
            depth = _depths(tree.children_left, tree.children_right)
            path = depth + usual_path(tree.n_node_samples)
            feature = np.where(inner, np.asarray(used)[np.maximum(tree.feature, 0)], 0)
            children = [np.where(inner, side + base, -1) for side in (tree.children_left, tree.children_right)]
            for part, array in zip(parts, (*children, feature, tree.threshold, path), strict=True):
                part.append(array)
            roots.append(base)
            base += tree.node_count
        self.roots = np.array(roots, np.int64)
        self.left, self.right, self.feature = (np.concatenate(part).astype(np.int64) for part in parts[:3])
        self.threshold, self.path = (np.concatenate(part).astype(np.float64) for part in parts[3:])

    def restore(self, state: State) -> None:  # type: ignore[override]  # a forest has as many nodes as it was grown with
        """Take over a forest; raise `StateError` where a walk could leave its arrays or never end."""
        arrays = {name: np.array(state[name]) if name in state else np.zeros((0, 0)) for name in self.kept}
        nodes = len(arrays["left"])
        whole, real = ("left", "right", "feature", "roots"), ("threshold", "path")
        sound = (
            all(arrays[name].ndim == 1 and arrays[name].dtype == np.int64 for name in whole)
            and all(arrays[name].shape == (nodes,) and arrays[name].dtype == np.float64 for name in real)
            and arrays["right"].shape == arrays["feature"].shape == (nodes,)
            and _walkable(arrays, nodes, len(self.names))
        )
        if not sound or arrays["sample"].shape != () or "learnt" not in state:
            raise StateError("the saved forest is damaged")
        for name in (*whole, *real):
            setattr(self, name, arrays[name])
        self.sample, self.learnt = int(arrays["sample"]), int(state["learnt"])


def usual_path(samples: NDArray[Any]) -> Vector:
    """Return the mean path length of an unsuccessful search among n (Liu, Ting, Zhou 2008, equation 1)."""
    number = np.asarray(samples, np.float64)
    more = 2.0 * (np.log(np.maximum(number - 1.0, 1.0)) + np.euler_gamma) - 2.0 * (number - 1.0) / np.maximum(number, 1)
    return np.where(number <= 1, 0.0, np.where(number == 2, 1.0, more))


def _depths(left: NDArray[Any], right: NDArray[Any]) -> Vector:
    depth = np.zeros(len(left))
    for node in range(len(left)):  # a parent stands before its children
        if left[node] >= 0:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _walkable(arrays: State, nodes: int, width: int) -> bool:
    left, right, here = arrays["left"], arrays["right"], np.arange(nodes)
    inner = left >= 0
    forward = (left > here) & (left < nodes) & (right > here) & (right < nodes)
    used = (arrays["feature"] >= 0) & (arrays["feature"] < width)
    roots = (arrays["roots"] >= 0) & (arrays["roots"] < nodes)
    return bool(forward[inner].all() and used.all() and roots.all())
