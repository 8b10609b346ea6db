"""What made a row strange, in numbers: the features that lie farthest from what is usual, and their usual ranges."""

import numpy as np

from risk.detectors.base import Vector
from risk.detectors.scale import FLOOR, Scale, unbend
from risk.values import Contribution

SHOWN = 4
SPREADS = 2.0
"""What lies within so many usual spreads of the mean is called usual."""


def unusual(scale: Scale, raw: Vector) -> tuple[Contribution, ...]:
    """Return the raw features of a row that lie farthest from usual, by a scale; their shares add up to 1."""
    off = np.abs(scale.standardise(raw[None])[0])
    best = np.argsort(-off, kind="stable")[:SHOWN].tolist()
    total = float(off[best].sum())
    spread = SPREADS * np.maximum(np.sqrt(scale.variance), FLOOR)
    low, high = unbend(scale.mean - spread), unbend(scale.mean + spread)
    return tuple(
        Contribution(
            scale.names[at], round(float(raw[at]), 4), round(max(float(low[at]), 0.0), 4), round(float(high[at]), 4),
            float(off[at]) / total if total else 1.0 / len(best),
        )
        for at in best
    )  # fmt: skip
