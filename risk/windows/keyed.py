"""Bounded windows for log observations, keyed by text: decayed counts, distinct things, and what was told already.

Everything is capped; the least recently used key goes first. Late rows decay nothing.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

QUIET_NS = 120_000_000_000


class Keyed(Generic[K, V]):
    """A dictionary that makes its values and forgets the least recently used one beyond a cap."""

    def __init__(self, capacity: int, make: Callable[[], V]) -> None:
        self._capacity = capacity
        self._make = make
        self._values: OrderedDict[K, V] = OrderedDict()
        self.evicted = 0

    def __getitem__(self, key: K) -> V:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
            return value
        if len(self._values) >= self._capacity:
            self._values.popitem(last=False)
            self.evicted += 1
        value = self._values[key] = self._make()
        return value

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values


class Decayed:
    """A count that decays exponentially: about how many there were in the last `tau_s` seconds."""

    __slots__ = ("_tau_ns", "_ts", "value")

    def __init__(self, tau_s: float) -> None:
        self._tau_ns = tau_s * 1e9
        self._ts = 0
        self.value = 0.0

    def add(self, now: int, amount: float = 1.0) -> float:
        """Decay to `now` (ns), add, and return the count."""
        if now > self._ts:
            self.value *= math.exp((self._ts - now) / self._tau_ns)
            self._ts = now
        self.value += amount
        return self.value


class Distinct(Generic[K]):
    """About how many different things there were in the last `tau_s` seconds; at most `cap` are remembered."""

    __slots__ = ("_cap", "_seen", "_tau_ns", "count")

    def __init__(self, tau_s: float, cap: int = 256) -> None:
        self._tau_ns = tau_s * 1e9
        self._cap = cap
        self._seen: OrderedDict[K, int] = OrderedDict()
        self.count = Decayed(tau_s)

    def age(self, now: int, thing: K) -> float | None:
        """Return the seconds since a thing was seen; None where it wasn't within this window."""
        last = self._seen.get(thing)
        return None if last is None or now - last > self._tau_ns else (now - last) / 1e9

    def add(self, now: int, thing: K) -> bool:
        """Count a thing and return whether it was new in this window."""
        last = self._seen.get(thing)
        self._seen[thing] = now
        self._seen.move_to_end(thing)
        if len(self._seen) > self._cap:
            self._seen.popitem(last=False)
        new = last is None or now - last > self._tau_ns
        self.count.add(now, float(new))
        return new


class Told:
    """Which crossings of one key were told: again only when a quarter stronger, or after a quiet time."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}

    def again(self, code: str, strength: float, now: int, quiet_ns: int = QUIET_NS) -> bool:
        """Return whether to tell a crossing (strength 1 and more); a weaker one never is."""
        if strength < 1.0:
            return False
        last = self._told.get(code)
        if last is not None and strength < 1.25 * last[0] and now - last[1] < quiet_ns:
            return False
        self._told[code] = (strength, now)
        return True
