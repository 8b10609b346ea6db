"""Where the lines of a live log come from: a file that grows, a queue of what was received, the journal.

A feed knows the place at which reading goes on after the last block that it gave. Whoever judges the lines keeps that
place together with what was decided, and tells the feed (`settle`) when it is kept: what lies before may then go.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from sensors.logs.lines import Block

Place = Mapping[str, Any]
"""JSON values, hence Any; nothing of what was read stands in it."""


class Feed(Protocol):
    """One live log."""

    @property
    def place(self) -> Place:
        """Where to go on after the last block that was given."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that are known to wait."""
        ...

    def poll(self) -> Iterator[Block]:
        """Yield what is there now, without waiting for more; raise `SensorError` for a source that is gone for good."""
        ...

    def settle(self, place: Place) -> None:
        """Take note that nothing before a place will be asked for again."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
