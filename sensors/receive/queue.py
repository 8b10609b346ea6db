"""A bounded queue on disk between whoever receives lines and whoever reads them.

Guarantees, also after a kill at any instant: what `append` took is read again, once and in order, from any place that
`settle` hasn't passed; with `durable` it survives the loss of power, too. No more than `max_bytes` lie on the disk:
what doesn't fit isn't taken, and the caller knows. What a crash or a bad disk left half written is left out, as a
`Damage` at its offset, and what comes after it in the next segment is read.

On disk: segments of whole frames, named by the offset of their first byte in the queue's whole life. A frame is the
length and the CRC-32 of its record (both little-endian, 32 bits), then the record. One process writes, one thread
reads.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensors.errors import UnreadableInputError

_FRAME = struct.Struct("<II")
MAX_RECORD = 1 << 24
_SEGMENTS = 8
_SUFFIX = ".queue"


@dataclass(frozen=True, slots=True)
class Record:
    """One record, where it begins, and where the next one does."""

    at: int
    data: bytes
    next: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch that can't be read."""

    at: int
    next: int
    text: str


def frame(record: bytes) -> bytes:
    """Return a record as it lies on the disk."""
    return _FRAME.pack(len(record), zlib.crc32(record)) + record


def read_frames(data: bytes, start: int) -> Iterator[Record | Damage]:
    """Yield the records in the bytes of (the rest of) a segment that begins at the queue's offset `start`; pure.

    A frame whose checksum is wrong is one `Damage`; one whose length can't be takes the rest of the bytes with it.
    """
    at = 0
    while at < len(data):
        if len(data) - at < _FRAME.size:
            yield Damage(start + at, start + len(data), "a frame ends too early")
            return
        length, checksum = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + length
        if length > MAX_RECORD or end > len(data):
            yield Damage(start + at, start + len(data), "a frame ends too early, or its length is wrong")
            return
        record = data[at + _FRAME.size : end]
        if zlib.crc32(record) == checksum:
            yield Record(start + at, record, start + end)
        else:
            yield Damage(start + at, start + end, "a frame's checksum is wrong")
        at = end


class SpillQueue:
    """The queue of one receiver, in a folder of its own."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Open the folder, creating it when new (0700); raise `UnreadableInputError`."""
        self._folder, self._max = folder, max_bytes
        self._turn = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._segments = {int(path.stem, 16): path.stat().st_size for path in sorted(folder.glob(f"*{_SUFFIX}"))}
        except (OSError, ValueError) as error:
            raise UnreadableInputError(f"{folder}: {error}") from error
        self._out = -1
        self._room = 0
        last = max(self._segments, default=0)
        self.end = last + self._segments.get(last, 0)
        """Offset behind the last record."""

    @property
    def start(self) -> int:
        """Offset of the first record that is still there."""
        return min(self._segments, default=self.end)

    def append(self, records: Sequence[bytes], durable: bool = False) -> bool:
        """Take all of the records or none, for want of room; raise OSError where the disk fails."""
        data = b"".join(map(frame, records))
        with self._turn:
            if self.end + len(data) - self.start > self._max:
                return False
            self._write(data)
            if durable:
                os.fsync(self._out)
            return True

    def _write(self, data: bytes) -> None:
        if self._room <= 0:
            self._begin_segment()
        segment = max(self._segments)
        try:
            written = os.write(self._out, data)
            while written < len(data):
                written += os.write(self._out, data[written:])
        except OSError:  # what was written of it is no frame: nobody is told of it, and the next one begins anew
            os.ftruncate(self._out, self._segments[segment])
            raise
        self._segments[segment] += len(data)
        self._room -= len(data)
        self.end += len(data)

    def _begin_segment(self) -> None:
        """Begin a segment: also after each start, so that what a crash left half written ends its own segment."""
        if self._out >= 0:
            os.close(self._out)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._out = os.open(self._path(self.end), flags, 0o600)
        self._segments.setdefault(self.end, 0)
        self._room = self._max // _SEGMENTS

    def read(self, at: int) -> Iterator[Record | Damage]:
        """Yield what lies at an offset and after it, a segment at a time; an offset that is gone is the first one."""
        at = max(at, self.start)
        with self._turn:
            segments = [(start, size) for start, size in sorted(self._segments.items()) if start + size > at]
        for start, size in segments:
            begin = max(at, start)
            with self._path(start).open("rb") as stream:
                stream.seek(begin - start)
                data = stream.read(size - (begin - start))
            yield from read_frames(data, begin)

    def settle(self, at: int) -> None:
        """Let go of the segments that lie before an offset."""
        with self._turn:
            for start, size in sorted(self._segments.items()):
                if start + size > at or (start == max(self._segments) and self._out >= 0):
                    return
                self._path(start).unlink(missing_ok=True)
                del self._segments[start]

    def close(self) -> None:
        """Close the queue."""
        with self._turn:
            if self._out >= 0:
                os.close(self._out)
                self._out, self._room = -1, 0

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:016x}{_SUFFIX}"
