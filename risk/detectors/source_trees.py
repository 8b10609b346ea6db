"""Half-space trees over the behaviour of sources (Tan, Ting, Liu 2011), as river implements them.

A score near 1 says that few learnt rows lay where this one lies. Features are put on 0..1 by their fixed working
ranges, not by what was seen, so that nobody can stretch the scale by one extreme value.
"""

import math
from collections.abc import Mapping, Sequence

from river.anomaly import HalfSpaceTrees

from risk.values import Contribution
from risk.windows import FEATURES, INDEX

NAMES: tuple[str, ...] = (
    *(f"src_{what}_{horizon}" for what in ("starts", "failed", "ports", "peers") for horizon in (10, 60, 600)),
    "src_out_600",
    "src_out_share",
    "src_slow_14400",
)
COLUMNS: tuple[int, ...] = tuple(INDEX[name] for name in NAMES)
WINDOW = 256
"""Rows of a tree's window; the first one passes before anything is scored."""
FORGET = 0.01
"""Weight of a new row in what is called usual."""
SHOWN = 4


def scaled(values: Sequence[float]) -> list[float]:
    """Return raw features (in the order of `NAMES`) on 0..1; wide ranges by logarithm."""
    return [_scale(column, value) for column, value in zip(COLUMNS, values, strict=True)]


def _scale(column: int, value: float) -> float:
    top = FEATURES[column].top
    share = value if top <= 1 else math.log1p(max(value, 0.0)) / math.log1p(top)
    return min(max(share, 0.0), 1.0)


def _unscale(column: int, share: float) -> float:
    top, share = FEATURES[column].top, min(max(share, 0.0), 1.0)
    return share if top <= 1 else math.expm1(share * math.log1p(top))


class HalfSpaceModel:
    """Trees, and beside them the usual range of each feature, for words."""

    def __init__(self, seed: int) -> None:
        self._trees = HalfSpaceTrees(n_trees=10, height=8, window_size=WINDOW, seed=seed)
        self._mean = [0.0] * len(NAMES)
        self._spread = [0.0] * len(NAMES)
        self.learnt = 0

    def score(self, values: Sequence[float]) -> float:
        """Return how unusual scaled features are, 0..1; 0 until the first window has passed."""
        return float(self._trees.score_one(_named(values)))  # type: ignore[no-untyped-call]  # river

    def learn(self, values: Sequence[float]) -> None:
        """Learn scaled features as usual."""
        self._trees.learn_one(_named(values))  # type: ignore[no-untyped-call]  # river
        self.learnt += 1
        rate = max(FORGET, 1 / self.learnt)
        for place, value in enumerate(values):
            off = value - self._mean[place]
            self._mean[place] += rate * off
            self._spread[place] += rate * (abs(off) - self._spread[place])

    def explain(self, values: Sequence[float]) -> tuple[Contribution, ...]:
        """Return the features that lie farthest from what is usual, with their usual ranges."""
        off = [
            abs(value - mean) / (spread + 0.02)
            for value, mean, spread in zip(values, self._mean, self._spread, strict=True)
        ]
        best = sorted(range(len(NAMES)), key=lambda place: (-off[place], place))[:SHOWN]
        total = sum(off[place] for place in best) or 1.0
        return tuple(self._fact(place, values[place], off[place] / total) for place in best)

    def _fact(self, place: int, value: float, share: float) -> Contribution:
        column, mean, reach = COLUMNS[place], self._mean[place], 3 * self._spread[place]
        low, high = _unscale(column, mean - reach), _unscale(column, mean + reach)
        return Contribution(NAMES[place], round(_unscale(column, value), 4), round(low, 4), round(high, 4), share)


def _named(values: Sequence[float]) -> Mapping[str, float]:
    return dict(zip(NAMES, values, strict=True))
