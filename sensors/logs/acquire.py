"""Read log files as blocks of lines: to their end, or following them as they grow and are rotated.

Guarantees: a file that can't be opened raises `UnreadableInputError` at once; damage further in is a `Fault` and what
came before it is kept. `stop` is asked at least every 0.1 s. Following begins at the end of the file; what a rotation
by rename leaves in the old file is read to its end first. Since the old file is held open meanwhile, its inode can't
be reused; a file that was copied and truncated is known by being shorter than before or beginning differently. Not
done: lines written between two polls and truncated away again are gone; a gzip file can't be followed.
"""

import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from sensors.errors import UnreadableInputError
from sensors.logs.lines import Block, LineCutter
from sensors.values import Counters, Fault

READ_BYTES = 1 << 18
POLL_S = 0.1
_HEAD_BYTES = 256
_GZIP_MAGIC = b"\x1f\x8b"


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading; raise `UnreadableInputError`."""
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error


def read_blocks(path: Path, max_line_bytes: int, counters: Counters, stop: Callable[[], bool]) -> Iterator[Block]:
    """Yield the lines of a file, plain or gzip, from its beginning to its end; offsets are those of the plain text."""
    cutter = LineCutter(max_line_bytes)
    with open_file(path) as stream:
        for data in _plain(_pieces(stream, path, counters, stop), counters):
            yield from cutter.feed(data)
    if not stop():
        yield from cutter.finish()


def _pieces(stream: BinaryIO, path: Path, counters: Counters, stop: Callable[[], bool]) -> Iterator[bytes]:
    while not stop():
        data = _read(stream, path)
        if not data:
            return
        counters.bytes += len(data)
        yield data


def _read(stream: BinaryIO, path: Path) -> bytes:
    try:
        return stream.read(READ_BYTES) or b""
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error


def _plain(pieces: Iterator[bytes], counters: Counters) -> Iterator[bytes]:
    first = next(pieces, b"")
    if first[:2] == _GZIP_MAGIC:
        yield from _inflate(first, pieces, counters)
        return
    yield first
    yield from pieces


def _inflate(first: bytes, pieces: Iterator[bytes], counters: Counters) -> Iterator[bytes]:
    """Inflate the members of a gzip file (RFC 1952); damage ends it with one fault."""
    member, data, plain = zlib.decompressobj(zlib.MAX_WBITS | 16), first, 0
    while True:
        before = member.copy()
        try:
            out = member.decompress(data, READ_BYTES)
        except zlib.error:
            out = _salvage(before, data)
            yield out
            _broken(counters, plain + len(out), "the gzip data are damaged here")
            return
        if out:
            plain += len(out)
            yield out
        if member.eof:
            data = member.unused_data or next(pieces, b"")
            if not data.strip(b"\0"):  # padding after the last member is allowed
                return
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        else:
            data = member.unconsumed_tail or next(pieces, b"")
            if not data and not out:
                _broken(counters, plain, "the gzip data end too early")
                return


def _broken(counters: Counters, offset: int, text: str) -> None:
    """Count damaged gzip data as one piece that was read and not understood, so that the counters add up."""
    counters.read += 1
    counters.fault(Fault("log.gzip", offset, text))


def _salvage(member: "zlib._Decompress", data: bytes) -> bytes:
    """Return what can be inflated before the damage; zlib itself gives nothing of a piece that is damaged."""
    out = bytearray()
    try:
        for index in range(len(data)):
            out += member.decompress(data[index : index + 1])
    except zlib.error:
        pass
    return bytes(out)


class Follower:
    """A file that is followed by name through rotation."""

    def __init__(self, path: Path, max_line_bytes: int, counters: Counters) -> None:
        self._path = path
        self._counters = counters
        self._cutter = LineCutter(max_line_bytes)
        self._stream = open_file(path)
        self._head = self._read_head()
        if self._head[:2] == _GZIP_MAGIC:
            self.close()
            raise UnreadableInputError(f"{path}: a gzip file can't be followed")
        self._position = self._stream.seek(0, os.SEEK_END)

    def poll(self) -> Iterator[Block]:
        """Yield the lines that have come in since the last time, through rotation and truncation."""
        if self._rewritten():
            yield from self._cutter.finish()
            self._position = self._stream.seek(0)
            self._head = self._read_head()
        yield from self._drain()
        while self._replaced():
            yield from self._drain()  # what was written between the last read and the rename
            yield from self._cutter.finish()
            self._stream.close()
            self._stream = open_file(self._path)
            self._position, self._head = 0, self._read_head()
            yield from self._drain()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _drain(self) -> Iterator[Block]:
        while data := _read(self._stream, self._path):
            self._position += len(data)
            self._counters.bytes += len(data)
            yield from self._cutter.feed(data)
        if len(self._head) < _HEAD_BYTES:
            self._head = self._read_head()

    def _read_head(self) -> bytes:
        return os.pread(self._stream.fileno(), _HEAD_BYTES, 0)

    def _rewritten(self) -> bool:
        """Whether the open file was truncated, and perhaps written again, since the last read."""
        return os.fstat(self._stream.fileno()).st_size < self._position or not self._read_head().startswith(self._head)

    def _replaced(self) -> bool:
        """Whether the name now means another file; a name that is missing for a moment doesn't."""
        try:
            named = self._path.stat()
        except OSError:
            return False
        return not os.path.samestat(named, os.fstat(self._stream.fileno()))


def follow_blocks(
    path: Path, max_line_bytes: int, counters: Counters, stop: Callable[[], bool]
) -> Iterator[Block | None]:
    """Yield the lines appended to a file from now on, and None every 0.1 s, when there is nothing more for now."""
    follower = Follower(path, max_line_bytes, counters)
    try:
        while not stop():
            yield from follower.poll()
            yield None
            time.sleep(POLL_S)
    finally:
        follower.close()
