"""What was decided on a subject of late, for the input document.

Guarantees: bounded, the subjects seen longest ago go first; a subject takes as much memory however often it is refused;
numbers are rounded down to 1, 2, 5, 10, 20, 50 ..., so that the same question stays the same question for a while; no
clock: the caller brings the time. A refusal counts for an hour, and up to `STEP_NS` longer.
"""

from collections import OrderedDict

from policy.values import History
from sensors.entities import Entity

SPAN_NS = 3_600_000_000_000
STEP_NS = 300_000_000_000
"""Refusals within so long are counted together."""
MOST = 1_000
"""More refusals of one subject are not told apart."""


class Histories:
    """Refusals of the last hour by subject."""

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._refused: OrderedDict[Entity, dict[int, int]] = OrderedDict()
        """Counts by step."""

    def __len__(self) -> int:
        return len(self._refused)

    def note(self, entity: Entity, at: int) -> None:
        """Note that a subject was refused at `at` (ns)."""
        counts = self._refused.setdefault(entity, {})
        step = at // STEP_NS
        counts[step] = counts.get(step, 0) + 1
        if len(counts) > SPAN_NS // STEP_NS + 1:
            del counts[min(counts)]
        self._refused.move_to_end(entity)
        if len(self._refused) > self._capacity:
            self._refused.popitem(last=False)

    def of(self, entity: Entity, at: int) -> History:
        """Return what is known of a subject at `at` (ns)."""
        counts = self._refused.get(entity)
        if counts is None:
            return NOTHING
        first = (at - SPAN_NS) // STEP_NS
        refused = sum(count for step, count in counts.items() if step >= first)
        if not refused:
            del self._refused[entity]
            return NOTHING
        return History(rounded(min(refused, MOST)))


NOTHING = History()


def rounded(count: int) -> int:
    """Return a count rounded down to 0, or 1, 2 or 5 times a power of ten."""
    power = 10 ** (len(str(count)) - 1)
    return next((step * power for step in (5, 2, 1) if step * power <= count), 0)
