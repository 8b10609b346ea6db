"""What the gate's servers have in common, whatever protocol their connections speak."""

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ostiary.sidecar.door import Door


class Served(Protocol):
    """A connection of a gateway."""

    def drain(self) -> None:
        """End after what is under way."""
        ...

    def check(self, now: float) -> None:
        """End where the client is too slow or has been silent for too long, at `now` (s, monotonic)."""
        ...


C = TypeVar("C", bound=Served)


class Serving(Generic[C]):
    """What all connections of a process share."""

    def __init__(self, door: Door, clock: Callable[[], int] = time.time_ns) -> None:
        self.door, self.clock = door, clock
        self.connections: set[C] = set()
        self.draining = False

    def drain(self) -> None:
        """End every connection after what is under way on it."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()

    def sweep(self) -> None:
        """End connections whose client is too slow or has been silent for too long; call it about once a second."""
        now = time.monotonic()
        for connection in tuple(self.connections):
            connection.check(now)
