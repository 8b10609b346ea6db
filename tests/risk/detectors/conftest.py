"""Rows for detectors: correlated usual ones, and a few that are far off."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

WIDTH = 8


@pytest.fixture(scope="session")
def usual() -> Callable[[int, int], NDArray[np.float64]]:
    """Return a maker of standardised rows: (number, seed) -> (number, 8)."""

    def make(number: int, seed: int) -> NDArray[np.float64]:
        dice = np.random.default_rng(seed)
        hidden = dice.normal(size=(number, 3))
        mixing = np.random.default_rng(99).normal(size=(3, WIDTH))
        rows = hidden @ mixing + 0.3 * dice.normal(size=(number, WIDTH))
        return np.asarray(rows / np.sqrt((mixing**2).sum(axis=0) + 0.09), np.float64)

    return make


@pytest.fixture(scope="session")
def strange() -> Callable[[int, int], NDArray[np.float64]]:
    """Return a maker of rows whose features don't belong together, and lie far out."""

    def make(number: int, seed: int) -> NDArray[np.float64]:
        return np.random.default_rng(seed).uniform(-6, 6, (number, WIDTH))

    return make
