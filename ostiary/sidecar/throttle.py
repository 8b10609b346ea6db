"""How much a throttled subject has left: a token bucket each (RFC 2697 in spirit, requests instead of bytes).

Guarantees: a subject never gets more than one second's share at once and its rate in the long run; holds at most
`CAPACITY` subjects, the least recently seen forgotten first, which lets it begin anew. No clock: the caller brings the
time, ns.
"""

from collections import OrderedDict
from collections.abc import Hashable

CAPACITY = 65_536


class Buckets:
    """What each subject has left."""

    def __init__(self) -> None:
        self._left: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, subject: Hashable, rate: float, now: int) -> bool:
        """Take one request of a subject that may make `rate` a second; return False where none is left."""
        burst = max(rate, 1.0)
        left, at = self._left.get(subject, (burst, now))
        left = min(burst, left + max(now - at, 0) / 1e9 * rate)
        granted = left >= 1.0
        self._left[subject] = (left - 1.0 if granted else left, now)
        self._left.move_to_end(subject)
        if len(self._left) > CAPACITY:
            self._left.popitem(last=False)
        return granted
