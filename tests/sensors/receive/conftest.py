"""Receivers on loopback, and what comes out of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sensors.receive.receivers import Receivers
from sensors.settings import SensorSettings, SourceSettings
from sensors.values import Counters

LIMIT = 1024


def until(holds: Callable[[], object], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.01)


@dataclass
class Received:
    """One receiver and the feed behind it."""

    receivers: Receivers
    entry: str
    feed: object
    counters: Counters
    lines: list[bytes] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.receivers.ports[self.entry]

    def poll(self) -> list[bytes]:
        for block in self.feed.poll():  # type: ignore[attr-defined]  # any feed
            self.lines += block.lines
        return self.lines

    def wait(self, count: int) -> list[bytes]:
        until(lambda: len(self.poll()) >= count, f"{count} lines")
        return self.lines


Receive = Callable[..., Received]


@pytest.fixture
def receive(tmp_path: Path) -> Iterator[Receive]:
    """Return a function that opens an entry and begins to receive."""
    opened: list[Received] = []

    def begin(entry: str, options: SourceSettings | None = None, queue_bytes: int = 1 << 22) -> Received:
        receivers = Receivers(SensorSettings(queue_bytes=queue_bytes, max_line_bytes=LIMIT), tmp_path / "queues")
        counters = Counters()
        feed = receivers.open(entry, options or SourceSettings(), None)(counters)
        receivers.start()
        opened.append(Received(receivers, entry, feed, counters))
        return opened[-1]

    yield begin
    for received in opened:
        received.receivers.stop()
        received.feed.close()  # type: ignore[attr-defined]  # as above
