"""Decisions that still hold, so that the same question need not be decided again at once.

Guarantees: a decision is reused only under the key that it was kept under, and no longer than its own time to live or
`MAX_AGE_S`; who asks puts into the key whatever the decision depends on besides the time. Holds at most `capacity`
decisions, and none that no longer holds once another is kept; the oldest go first. No clock: the question brings the
time.
"""

from collections import OrderedDict
from collections.abc import Hashable

from policy.values import Decision

MAX_AGE_S = 1.0


class Verdicts:
    """Decisions by question."""

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._held: OrderedDict[Hashable, Decision] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, key: Hashable, now: int) -> Decision | None:
        """Return a decision that still holds at `now` (ns)."""
        decision = self._held.get(key)
        if decision is None or not 0 <= now - decision.ts < min(decision.ttl_s, MAX_AGE_S) * 1e9:
            return None
        return decision

    def keep(self, key: Hashable, decision: Decision) -> None:
        """Hold a fresh decision, in the place of an older one."""
        self._held[key] = decision
        self._held.move_to_end(key)
        while self._held:
            oldest = next(iter(self._held))
            holds = 0 <= decision.ts - self._held[oldest].ts < MAX_AGE_S * 1e9
            if holds and len(self._held) <= self._capacity:
                return
            del self._held[oldest]
