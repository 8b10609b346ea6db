"""How far the clock of whoever writes a log is from ours.

A line takes some time from its stamp to us, and more where it waits somewhere; it never takes less than nothing. So the
smallest delay of late tells the most about the clock (Mills' clock filter, RFC 5905, section 10, without its round
trip): 40 s means a clock that is slow by 40 s, or lines that are always held back that long; less than nothing means a
clock that is ahead, or a zone that isn't told. Single lines with a wrong date count for nothing: of the lines that come
together the middle one counts, and of those the third smallest within the last five to ten minutes.
"""

import numpy as np
from numpy.typing import NDArray

WINDOW_NS = 300 * 1_000_000_000
_SMALLEST = 3


class Skew:
    """The delays of one source."""

    def __init__(self) -> None:
        self._windows: list[list[int]] = [[], []]
        self._begun = 0

    def take(self, now_ns: int, times: NDArray[np.int64]) -> None:
        """Take the event times of lines that have just come in."""
        if not len(times):
            return
        if now_ns - self._begun > WINDOW_NS:
            self._windows = [self._windows[1] if now_ns - self._begun <= 2 * WINDOW_NS else [], []]
            self._begun = now_ns
        delays = self._windows[1]
        delays.append(now_ns - int(np.partition(times, len(times) // 2)[len(times) // 2]))
        delays.sort()
        del delays[_SMALLEST:]

    def ahead_ns(self) -> int | None:
        """Return by how much the source's clock is ahead of ours (negative: behind); None while too little is known."""
        delays = sorted(self._windows[0] + self._windows[1])
        return -delays[_SMALLEST - 1] if len(delays) >= _SMALLEST else None
