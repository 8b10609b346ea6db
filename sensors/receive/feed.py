"""Read what was received from its queue, as a feed of lines.

Guarantees: each line once and in order, from a saved place on; what the receiver had to drop, and what couldn't be read
of what it got or of the queue, is counted with the lines. Offsets are those of the queue.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sensors.logs.feed import Place
from sensors.logs.lines import Block, LineCutter
from sensors.receive.queue import Damage, SpillQueue
from sensors.values import Counters, Fault

_FRAME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Intake:
    """What a receiver hands over: lines by the queue, and what became of the others. Shared by two threads."""

    queue: SpillQueue
    dropped: "SimpleQueue[int]" = field(default_factory=SimpleQueue)
    faults: "SimpleQueue[Fault]" = field(default_factory=SimpleQueue)


class QueueFeed:
    """The lines of one receiver."""

    def __init__(self, intake: Intake, max_line_bytes: int, counters: Counters, place: Place | None) -> None:
        self._intake, self._counters, self._limit = intake, counters, max_line_bytes
        place = place or {}
        self._at = int(place.get("at", 0))
        if self._at > intake.queue.end:  # another queue than the place is of
            self._at = intake.queue.start
        self._inner = int(place.get("inner", 0))
        """Bytes of the record at `_at` that have been given."""
        self._cutter = LineCutter(max_line_bytes, int(place.get("line", 1)))

    @property
    def place(self) -> Place:
        """Where to go on."""
        return {"at": self._at, "inner": self._inner, "line": self._cutter.line}

    @property
    def unread(self) -> int:
        """Bytes that wait in the queue."""
        return max(0, self._intake.queue.end - max(self._at, self._intake.queue.start))

    def poll(self) -> Iterator[Block]:
        """Yield what has been received."""
        self._take_notes()
        for item in self._intake.queue.read(self._at):
            if isinstance(item, Damage):
                self._counters.read += 1
                self._counters.fault(Fault("queue.damaged", item.at, item.text))
                self._at, self._inner = item.next, 0
                continue
            if item.at != self._at:
                self._inner = 0
            self._at = item.at
            base = item.at + _FRAME_BYTES
            self._cutter.offset = base + self._inner
            rest = item.data[self._inner :]
            self._counters.bytes += len(rest)
            for blocks in (self._cutter.feed(rest), self._cutter.finish()):
                for block in blocks:
                    self._inner = self._cutter.offset - base
                    if self._inner >= len(item.data):
                        self._at, self._inner = item.next, 0
                    yield block
            self._at, self._inner = item.next, 0

    def _take_notes(self) -> None:
        with contextlib.suppress(Empty):
            while fault := self._intake.faults.get_nowait():
                self._counters.read += 1
                self._counters.fault(fault)
        with contextlib.suppress(Empty):
            while lost := self._intake.dropped.get_nowait():
                self._counters.dropped += lost

    def settle(self, place: Place) -> None:
        """Let go of what lies before a place."""
        self._intake.queue.settle(int(place["at"]))

    def close(self) -> None:
        """Close the queue."""
        self._intake.queue.close()
