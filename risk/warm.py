"""Compile the kernels of the models before the first flow ends; what is in the cache takes milliseconds."""

import numpy as np

from risk.ensemble import BATCH, Ensemble
from risk.reference import default_reference
from risk.windows import MODELS

BATCHES = 6
"""So many that autoencoders score, too."""


def warm_up() -> None:
    """Take rows of noise through all models once, and throw them away."""
    ensemble, dice = Ensemble(MODELS, 0, default_reference()), np.random.default_rng(0)
    for _ in range(BATCHES):
        rows = dice.random((BATCH, len(MODELS)))
        ensemble.learn_many(rows, ensemble.score_many(rows))
