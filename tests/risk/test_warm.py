"""After warming up nothing of the models is left to compile."""

import numpy as np

from risk.detectors import kernel
from risk.ensemble import BATCH, Ensemble
from risk.reference import default_reference
from risk.warm import warm_up
from risk.windows import MODELS


def test_nothing_is_left_to_compile() -> None:
    kernels = [each for name, each in vars(kernel).items() if hasattr(each, "signatures") and name[0] != "_"]
    assert len(kernels) == 7
    warm_up()
    before = [len(each.signatures) for each in kernels]
    assert all(before)
    ensemble, dice = Ensemble(MODELS, 3, default_reference()), np.random.default_rng(1)
    for _ in range(8):
        rows = dice.random((BATCH, len(MODELS)))
        ensemble.learn_many(rows, ensemble.score_many(rows), np.arange(BATCH, dtype=np.uint64))
    assert [len(each.signatures) for each in kernels] == before
