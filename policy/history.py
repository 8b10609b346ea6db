"""What was decided on a subject of late, for the input document.

Guarantees: bounded, the subjects seen longest ago go first; numbers are rounded down to 1, 2, 5, 10, 20, 50 ..., so
that the same question stays the same question for a while; no clock: the caller brings the time.
"""

from collections import OrderedDict, deque

from policy.values import History
from sensors.entities import Entity

SPAN_NS = 3_600_000_000_000
MOST = 1_000
"""Refusals of one subject that are told apart."""


class Histories:
    """Refusals of the last hour by subject."""

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._refused: OrderedDict[Entity, deque[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._refused)

    def note(self, entity: Entity, at: int) -> None:
        """Note that a subject was refused at `at` (ns)."""
        times = self._refused.setdefault(entity, deque(maxlen=MOST))
        times.append(at)
        self._refused.move_to_end(entity)
        if len(self._refused) > self._capacity:
            self._refused.popitem(last=False)

    def of(self, entity: Entity, at: int) -> History:
        """Return what is known of a subject at `at` (ns)."""
        times = self._refused.get(entity)
        if times is None:
            return NOTHING
        while times and times[0] <= at - SPAN_NS:
            times.popleft()
        if not times:
            del self._refused[entity]
            return NOTHING
        return History(rounded(len(times)))


NOTHING = History()


def rounded(count: int) -> int:
    """Return a count rounded down to 0, or 1, 2 or 5 times a power of ten."""
    power = 10 ** (len(str(count)) - 1)
    return next((step * power for step in (5, 2, 1) if step * power <= count), 0)
