"""Read log files as blocks of lines to their end, plain, gzip or Zstandard.

Guarantees: a file that can't be opened raises `UnreadableInputError` at once; damage further in is a `Fault` and what
came before it is kept; offsets are those of the plain text. Files that grow: `sensors.logs.follow`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from sensors.begun import Begun
from sensors.errors import UnreadableInputError
from sensors.logs.lines import Block, LineCutter
from sensors.logs.packed import plain
from sensors.values import Counters

READ_BYTES = 1 << 18


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading; raise `UnreadableInputError`."""
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error


def read_some(stream: BinaryIO, path: Path) -> bytes:
    """Return the next bytes of a file, b"" at its end; raise `UnreadableInputError`."""
    try:
        return stream.read(READ_BYTES) or b""
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error


def read_blocks(path: Path, max_line_bytes: int, counters: Counters, stop: Callable[[], bool]) -> Iterator[Block]:
    """Yield the lines of a file from its beginning to its end."""
    with open_file(path) as stream:
        yield from _blocks(_pieces(stream, path, stop), max_line_bytes, counters, stop)


def read_stream(stream: Begun, max_line_bytes: int, counters: Counters, stop: Callable[[], bool]) -> Iterator[Block]:
    """Yield the lines of a pipe from its beginning to its end."""
    yield from _blocks(_poured(stream, stop), max_line_bytes, counters, stop)


def _blocks(
    pieces: Iterator[bytes], max_line_bytes: int, counters: Counters, stop: Callable[[], bool]
) -> Iterator[Block]:
    cutter = LineCutter(max_line_bytes)
    for data in plain(_counted(pieces, counters), counters):
        yield from cutter.feed(data)
    if not stop():
        yield from cutter.finish()


def _counted(pieces: Iterator[bytes], counters: Counters) -> Iterator[bytes]:
    for data in pieces:
        counters.bytes += len(data)
        yield data


def _pieces(stream: BinaryIO, path: Path, stop: Callable[[], bool]) -> Iterator[bytes]:
    while not stop():
        data = read_some(stream, path)
        if not data:
            return
        yield data


def _poured(stream: Begun, stop: Callable[[], bool]) -> Iterator[bytes]:
    while not stop():
        if stream.waits():
            continue
        data = stream.read(READ_BYTES)
        if not data:
            return
        yield data
