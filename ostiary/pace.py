"""How fast the engine judges while it is at work, and how much may wait for it."""

FORGET = 0.995
"""Weight that what was measured keeps with each further batch: the last few hundred count."""
FEWEST = 200
"""Rows before which nothing is said."""


class Pace:
    """Rows, batches and seconds at work, recent ones weighing more."""

    def __init__(self) -> None:
        self._rows = self._seconds = self._batches = 0.0
        self._all = 0

    def count(self, rows: int, seconds: float) -> None:
        """Take one batch in."""
        self._rows = FORGET * self._rows + rows
        self._seconds = FORGET * self._seconds + seconds
        self._batches = FORGET * self._batches + 1
        self._all += rows

    @property
    def rows_per_s(self) -> float:
        """Rows judged a second of work; 0 while too few were."""
        return self._rows / self._seconds if self._all >= FEWEST and self._seconds > 0 else 0.0

    def waiting(self, batches: int) -> int:
        """Return how many rows a queue of so many batches holds."""
        return round(batches * self._rows / self._batches) if self._batches else 0
