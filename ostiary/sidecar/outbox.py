"""The decisions of a gate on their way to the engine's record.

Guarantees: a record leaves memory only when the engine has said that it is durable, or when it lies sealed on disk;
memory holds at most `IN_MEMORY` of them and the disk `ON_DISK` bytes; what finds no room is refused to whoever hands it
in, who counts it; nobody waits for the disk. What a killed process had in memory is lost; `LOST` tells the engine how
many.
"""

import asyncio
import contextlib
import re
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
_DIGITS = 12


class FullError(OstiaryError):
    """There is no room for another record, in memory or on disk."""

    code = "gate.record-full"


Part = tuple[int, Path | None, list[list[Any]]]
"""So many records that go together, and the file that they lie in, or else themselves."""


class Outbox:
    """Records that wait. Belongs to one thread."""

    def __init__(self, directory: Path, name: str, key: bytes, counters: Counters) -> None:
        """Spill into files of `directory` whose names begin with `name`, taking over what lies there."""
        self._directory, self._name, self._key, self._counters = directory, name, key, counters
        self._waiting: deque[list[Any]] = deque()
        self._sent: deque[Part] = deque()
        self._again: deque[Part] = deque()
        self._spilled = deque(sorted(directory.glob(f"{name}-{'[0-9]' * _DIGITS}-*[0-9].spill")))
        self._sizes = {path: path.stat().st_size for path in self._spilled}
        self._number = int(self._spilled[-1].stem.split("-")[-2]) if self._spilled else 0
        # A process before this one left these; what it had in memory is gone.
        gone = counters.own("handed_on") - counters.own("taken") - self.on_disk
        counters.add("handed_on", -gone)
        self._lost = max(gone, 0)  # else files of a gate that ended came to the counts of this one

    def add(self, decision: Decision) -> None:
        """Take a record; raise `FullError`."""
        held = sum(len(rows) for parts in (self._sent, self._again) for _, _, rows in parts)
        if len(self._waiting) + held >= IN_MEMORY:
            raise FullError("the records that wait have filled their room")
        self._waiting.append(record(decision))
        self._counters.add("handed_on")

    async def relieve(self) -> None:
        """Put the oldest records on disk while there are too many in memory; what finds no room there stays."""
        while len(self._waiting) >= CROWDED and sum(self._sizes.values()) < ON_DISK:
            rows = [self._waiting.popleft() for _ in range(SPILL)]
            writing = asyncio.ensure_future(asyncio.to_thread(self._written, rows))
            cancelled = await _ended(writing)
            error = writing.exception()
            if error is None:
                self._hold(*writing.result(), len(rows))
            else:
                self._waiting.extendleft(reversed(rows))
            if cancelled is not None:
                raise cancelled
            if isinstance(error, OSError):
                return
            if error is not None:
                raise error

    def frames(self) -> Iterator[bytes]:
        """Yield what is to be sent now, oldest first; everything yielded counts as sent."""
        while sum(count for count, _, _ in self._sent) < IN_FLIGHT:
            rows, path = self._next()
            if self._lost:
                lost, self._lost = self._lost, 0
                yield frame(LOST, {"count": lost})
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
        self._again.extendleft(reversed(self._sent))
        self._sent.clear()

    def close(self) -> None:
        """Put on disk what is left; what finds no room there is counted as lost."""
        self.disconnected()
        left = [row for _, _, rows in self._again for row in rows] + list(self._waiting)
        self._again.clear()
        self._waiting.clear()
        for start in range(0, len(left), SPILL):
            rows = left[start : start + SPILL]
            try:
                self._hold(*self._written(rows), len(rows))
            except OSError:
                self._counters.add("unrecorded", len(rows))

    def __len__(self) -> int:
        return len(self._waiting) + sum(count for parts in (self._sent, self._again) for count, _, _ in parts)

    @property
    def on_disk(self) -> int:
        """How many records lie in files."""
        return sum(map(_count, self._sizes))

    def _next(self) -> tuple[list[list[Any]], Path | None]:
        """Return the oldest records that were not sent, and the file that they lie in; nothing where there are none."""
        while self._again:
            _, path, rows = self._again.popleft()
            if rows := rows if path is None else self._read(path):
                return rows, path
        for _ in range(len(self._spilled)):
            path = self._spilled.popleft()
            if rows := self._read(path):
                return rows, path
        return [self._waiting.popleft() for _ in range(min(CHUNK, len(self._waiting)))], None

    def _read(self, path: Path) -> list[list[Any]]:
        """Return the records of a file, nothing where it gives none: then it is told as lost, or read again later."""
        try:
            rows: list[list[Any]] = unpack(b"".join(read_sealed(path, self._key)))
        except OstiaryError as error:
            why = error.__cause__
            if isinstance(why, OSError) and not isinstance(why, FileNotFoundError):  # such as too many open files
                self._spilled.append(path)
            else:  # changed, cut or gone: told, and out of the way
                self._lost += _count(path)
                self._counters.add("handed_on", -_count(path))
                self._forget(path)
            return []
        return rows

    def _written(self, rows: list[list[Any]]) -> tuple[Path, int]:
        self._number += 1
        path = self._directory / f"{self._name}-{self._number:0{_DIGITS}d}-{len(rows)}.spill"
        payload = frame(RECORDS, rows)[5:]
        write_sealed(path, self._key, [payload])
        return path, len(payload)

    def _hold(self, path: Path, size: int, count: int) -> None:
        self._spilled.append(path)
        self._sizes[path] = size
        self._counters.add("spilled", count)

    def _forget(self, path: Path) -> None:
        del self._sizes[path]
        with contextlib.suppress(OSError):
            path.unlink()


def _count(path: Path) -> int:
    """Return how many records lie in a file, by its name."""
    return int(path.stem.rpartition("-")[2])


async def _ended(work: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Wait for a thread's work, which nothing cuts short; return a cancellation that came meanwhile, to be raised."""
    cancelled = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def adopt(directory: Path, processes: int) -> None:
    """Give the files of processes that are no longer started to the first one; raise OSError."""
    found = sorted((match, path) for path in directory.iterdir() if (match := _parts(path)))
    number = max((serial for (process, serial, _), _ in found if process == 0), default=0)
    for (process, _, count), path in found:
        if process >= processes:
            number += 1
            path.rename(path.with_name(f"records-0-{number:0{_DIGITS}d}-{count}.spill"))


def _parts(path: Path) -> tuple[int, ...]:
    """Return process, number and records of a file, by its name; () where it is none of ours."""
    match = re.fullmatch(rf"records-(\d+)-(\d{{{_DIGITS}}})-(\d+)\.spill", path.name)
    return tuple(map(int, match.groups())) if match else ()
