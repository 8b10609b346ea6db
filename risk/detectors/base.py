"""What every detector is: scores rows, learns rows, shows its state as plain arrays.

Guarantees: scoring changes nothing; learning rows at once equals learning them one by one in the same order as far as
the algorithm's own module says; a restored detector scores and learns exactly as the saved one would. Rows are
standardised features (see `risk.detectors.scale`); a higher score is stranger. Scores of different detectors have no
common scale: `risk.calibration` gives them one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.errors import StateError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
WARM = 512
"""Rows that most detectors need before their scores mean something."""
State = dict[str, NDArray[Any]]
"""Arrays by name, of whatever type each needs (hence Any): everything that a detector has learnt and drawn."""


class Detector(ABC):
    """A model of what is usual, over rows of `len(names)` standardised features."""

    name: ClassVar[str]
    kept: ClassVar[tuple[str, ...]]
    """The attributes that make up the state: arrays, or whole numbers."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.learnt = 0

    @abstractmethod
    def score_many(self, rows: Matrix) -> Vector:
        """Return how strange each row is; 0 while too little was learnt to tell."""

    @abstractmethod
    def learn_many(self, rows: Matrix) -> None:
        """Take rows as usual, in their order."""

    @property
    def warm(self) -> bool:
        """Return whether enough was learnt for scores to be comparable with later ones."""
        return self.learnt >= WARM

    def score_one(self, row: Mapping[str, float]) -> float:
        """Return how strange one row is; features by name, absent ones usual (0)."""
        return float(self.score_many(self._matrix(row))[0])

    def learn_one(self, row: Mapping[str, float]) -> None:
        """Take one row as usual; features by name, absent ones usual (0)."""
        self.learn_many(self._matrix(row))

    def forget(self, rows: int) -> None:  # noqa: B027 - most have nothing to do
        """Make what was learnt weigh no more than so many rows; models that follow their latest rows do anyway."""

    def state(self) -> State:
        """Return a copy of everything learnt and drawn."""
        return {name: np.array(getattr(self, name)) for name in ("learnt", *self.kept)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a state of the same kind of detector over as many features; raise `StateError`."""
        for name in ("learnt", *self.kept):
            setattr(self, name, fitting(name, getattr(self, name), state))

    def _matrix(self, row: Mapping[str, float]) -> Matrix:
        return np.array([[row.get(name, 0.0) for name in self.names]])


def fitting(name: str, present: object, state: Mapping[str, NDArray[Any]]) -> object:
    """Return the saved value of a name where it fits what is there now; raise `StateError` where it doesn't."""
    saved = state.get(name)
    if saved is None:
        raise StateError(f"the saved state has no {name}")
    if isinstance(present, int):
        if saved.shape != () or saved.dtype.kind not in "iu":
            raise StateError(f"{name} is no whole number")
        return int(saved)
    have = np.asarray(present)
    if saved.shape != have.shape or saved.dtype != have.dtype:
        raise StateError(f"{name} is {saved.dtype}{list(saved.shape)}, not {have.dtype}{list(have.shape)}")
    return np.array(saved)
