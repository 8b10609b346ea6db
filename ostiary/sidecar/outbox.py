"""The decisions of a gate on their way to the engine's record.

Guarantees: a record leaves memory only when the engine has said that it is durable, or when it lies sealed on disk;
memory holds at most `IN_MEMORY` of them and the disk `ON_DISK` bytes; what finds no room is refused to whoever hands it
in, who counts it; nobody waits for the disk. What a killed process had in memory is lost; `LOST` tells the engine how
many.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ostiary.errors import OstiaryError
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.frames import CHUNK, LOST, RECORDS, frame, record, unpack
from ostiary.sidecar.sealed import read_sealed, write_sealed
from policy.values import Decision

IN_MEMORY = 20_000
CROWDED = 10_000
"""From so many on the oldest go to the disk."""
SPILL = 2_000
"""Records in a file."""
ON_DISK = 256 << 20
IN_FLIGHT = 5_000
"""Records that may be with the engine and not acknowledged yet."""


class FullError(OstiaryError):
    """There is no room for another record, in memory or on disk."""

    code = "gate.record-full"


class Outbox:
    """Records that wait. Belongs to one thread."""

    def __init__(self, directory: Path, name: str, key: bytes, counters: Counters) -> None:
        """Spill into files of `directory` whose names begin with `name`, taking over what lies there."""
        self._directory, self._name, self._key, self._counters = directory, name, key, counters
        self._waiting: deque[list[Any]] = deque()
        self._sent: deque[tuple[int, Path | None, list[list[Any]]]] = deque()
        self._spilled = deque(sorted(directory.glob(f"{name}-*.spill")))
        self._number = int(self._spilled[-1].stem.split("-")[-2]) if self._spilled else 0
        self._bytes = sum(path.stat().st_size for path in self._spilled)
        # A process before this one left these; what it had in memory is gone.
        gone = counters.own("handed_on") - counters.own("taken") - sum(map(_count, self._spilled))
        counters.add("handed_on", -gone)
        self._lost = max(gone, 0)  # else files of a gate that ended came to the counts of this one

    def add(self, decision: Decision) -> None:
        """Take a record; raise `FullError`."""
        if len(self._waiting) >= IN_MEMORY:
            raise FullError("the records that wait have filled their room")
        self._waiting.append(record(decision))
        self._counters.add("handed_on")

    async def relieve(self) -> None:
        """Put the oldest records on disk while there are too many in memory; what finds no room there stays."""
        while len(self._waiting) >= CROWDED and self._bytes < ON_DISK:
            rows = [self._waiting.popleft() for _ in range(SPILL)]
            try:
                path = await asyncio.to_thread(self._written, rows)
            except BaseException as error:
                self._waiting.extendleft(reversed(rows))
                if isinstance(error, OSError):
                    return
                raise
            self._hold(path, len(rows))

    def frames(self) -> Iterator[bytes]:
        """Yield what is to be sent now, oldest first; everything yielded counts as sent."""
        if self._lost:
            yield frame(LOST, {"count": self._lost})
            self._lost = 0
        while sum(count for count, _, _ in self._sent) < IN_FLIGHT:
            rows, path = self._next()
            if not rows:
                return
            self._sent.append((len(rows), path, rows if path is None else []))
            yield frame(RECORDS, rows)

    def taken(self, count: int) -> None:
        """Forget the oldest `count` records that were sent: they are durable."""
        self._counters.add("taken", count)
        while count > 0 and self._sent:
            size, path, _ = self._sent.popleft()
            count -= size
            if path is not None:
                self._forget(path)

    def disconnected(self) -> None:
        """Hold again what was sent and not acknowledged."""
        while self._sent:
            _, path, rows = self._sent.pop()
            if path is not None:
                self._spilled.appendleft(path)
            else:
                self._waiting.extendleft(reversed(rows))

    def close(self) -> None:
        """Put on disk what is left; what finds no room there is counted as lost."""
        self.disconnected()
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(SPILL, len(self._waiting)))]
            try:
                self._hold(self._written(rows), len(rows))
            except OSError:
                self._counters.add("unrecorded", len(rows))

    def __len__(self) -> int:
        return len(self._waiting) + sum(count for count, _, _ in self._sent)

    def _next(self) -> tuple[list[list[Any]], Path | None]:
        """Return the oldest records that were not sent, and the file that they lie in; nothing where there are none."""
        while self._spilled:
            path = self._spilled.popleft()
            try:
                return unpack(b"".join(read_sealed(path, self._key))), path
            except OstiaryError:  # changed, or cut by a full disk: told, and out of the way
                self._lost += _count(path)
                self._counters.add("handed_on", -_count(path))
                self._forget(path)
        return [self._waiting.popleft() for _ in range(min(CHUNK, len(self._waiting)))], None

    def _written(self, rows: list[list[Any]]) -> Path:
        self._number += 1
        path = self._directory / f"{self._name}-{self._number:012d}-{len(rows)}.spill"
        write_sealed(path, self._key, [frame(RECORDS, rows)[5:]])
        return path

    def _hold(self, path: Path, count: int) -> None:
        self._spilled.append(path)
        self._bytes += path.stat().st_size
        self._counters.add("spilled", count)

    def _forget(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            self._bytes -= path.stat().st_size
            path.unlink()


def _count(path: Path) -> int:
    """Return how many records lie in a file, by its name."""
    return int(path.stem.rpartition("-")[2])
