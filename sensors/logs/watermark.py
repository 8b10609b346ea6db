"""How far a log has come in event time.

Logs are nearly in order: servers write a line when a request ends and stamp it with when it began, workers overtake
each other. The watermark therefore stays `slack_ns` behind the newest line, where a new maximum counts only when the
next line confirms it: one line with a wrong date, far in the future, moves nothing. It is a function of the lines
alone, not of how they were cut into blocks. Memory is bounded: when more than `max_held` rows lie at or after the
watermark, it rises so that the older ones can go.
"""

import numpy as np
from numpy.typing import NDArray

BEGINNING = -(2**63) + 1
MAX_HELD = 1 << 18


class Watermark:
    """The watermark of one source; `value` only rises."""

    def __init__(self, slack_ns: int, max_held: int = MAX_HELD) -> None:
        self.value = BEGINNING
        self._slack = slack_ns
        self._max_held = max_held
        self._last = self._front = BEGINNING + slack_ns
        self._held = np.empty(0, np.int64)

    def advance(self, times: NDArray[np.int64]) -> int:
        """Take the event times of the next rows in the order of the lines; return how many of them are late."""
        if not len(times):
            return 0
        confirmed = np.minimum(times, np.concatenate(([self._last], times[:-1])))
        confirmed[0] = max(confirmed[0], self._front)
        front = np.maximum.accumulate(confirmed)
        late = int(np.count_nonzero(times < np.maximum(front - self._slack, self.value)))
        self._last, self._front = int(times[-1]), int(front[-1])
        self.value = max(self.value, self._front - self._slack)
        self._hold(times)
        return late

    def _hold(self, times: NDArray[np.int64]) -> None:
        held = np.concatenate((self._held, times))
        held = held[held >= self.value]
        surplus = len(held) - self._max_held
        if surplus > 0:
            self.value = int(np.partition(held, surplus)[surplus])
            held = held[held >= self.value]
        self._held = held
