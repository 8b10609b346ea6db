"""How a source behaves beside its nearest normal neighbours, for explanations.

Guarantees: bounded (`CAPACITY` sources, the longest silent forgotten); one row a source, that of the flow which ended
last; who counts as normal is asked when an explanation is wanted, so that nobody stays normal in here whom evidence
speaks against by now. It finds nothing and costs the hot path one pass over the rows that ended.
"""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from risk.windows import FEATURES, INDEX, FlowView
from sensors.addresses import address_text
from sensors.values import Entity, EntityKind, FlowEvent

CAPACITY = 4096
LOOKED_AT = 1024
"""Sources that a comparison takes as candidates, the latest."""
NEIGHBOURS = 5
SHOWN = 4
NAMES = tuple(feature.name for feature in FEATURES if feature.name.startswith("src_"))
_COLUMNS = np.array([INDEX[name] for name in NAMES])
_TOPS = np.array([FEATURES[column].top for column in _COLUMNS.tolist()])
_APART = 0.02
"""On the scale 0..1: nearer than this a value counts as among its neighbours'."""

Nearest = tuple[tuple[str, float, float, float], ...]
"""(feature, value, lowest and highest among the neighbours), the farthest off first."""
Host = tuple[int, int]


class NormalRows:
    """The newest row of each source."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Host, NDArray[np.float32]] = OrderedDict()

    def count(self, view: FlowView) -> None:
        """Take the rows of a view in."""
        ended = np.flatnonzero((view.rows["event"] & FlowEvent.END) != 0)[::-1]
        pairs = np.stack((view.rows["orig_hi"][ended], view.rows["orig_lo"][ended]), axis=1)
        _, newest = np.unique(pairs, axis=0, return_index=True)
        for row in ended[np.sort(newest)[::-1]].tolist():
            host = int(view.rows["orig_hi"][row]), int(view.rows["orig_lo"][row])
            self._rows[host] = view.matrix[row, _COLUMNS]
            self._rows.move_to_end(host)
        while len(self._rows) > CAPACITY:
            self._rows.popitem(last=False)

    def nearest(self, entity: Entity, is_normal: Callable[[Entity], bool]) -> Nearest:
        """Return in what a source differs from the normal sources most like it; () where nothing can be said."""
        own: NDArray[np.float32] | None = None
        others: list[NDArray[np.float32]] = []
        for host in reversed(self._rows):
            other = Entity(EntityKind.IP, address_text(*host))
            if other == entity:
                own = self._rows[host]
            elif len(others) < LOOKED_AT and is_normal(other):
                others.append(self._rows[host])
        if own is None or len(others) < NEIGHBOURS:
            return ()
        return _compare(own, np.stack(others))


def _compare(own: NDArray[np.float32], others: NDArray[np.float32]) -> Nearest:
    # Heavy: only where an explanation is wanted.
    from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]  # scikit-learn brings no types

    unit, here = _unit(others), _unit(own[None, :])
    found = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(unit)
    near = found.kneighbors(here, return_distance=False)[0]
    low, high = unit[near].min(axis=0), unit[near].max(axis=0)
    off = np.maximum(low - here[0], here[0] - high)
    farthest: dict[str, int] = {}
    for place in np.argsort(-off, kind="stable").tolist():
        if off[place] > _APART:  # of one count over several horizons the farthest tells enough
            farthest.setdefault(NAMES[place].rpartition("_")[0], place)
    return tuple(
        (NAMES[place], _shown(own[place]), _shown(others[near, place].min()), _shown(others[near, place].max()))
        for place in list(farthest.values())[:SHOWN]
    )


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows on 0..1, wide ranges by logarithm."""
    kept = np.maximum(rows.astype(np.float64), 0.0)
    wide = np.log1p(kept) / np.log1p(_TOPS)
    scaled: NDArray[np.float64] = np.clip(np.where(_TOPS > 1, wide, kept), 0.0, 1.0)
    return scaled


def _shown(value: np.float32) -> float:
    return round(float(value), 4)
