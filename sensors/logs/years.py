"""Which year a log means whose stamps have none (RFC 3164).

A stamp without a year is the latest one that isn't later than the log's present. What that present is, is bounded here:

1. by the time at which the file was last written, which is that of its last line where the file lies as it was written;
2. where it isn't (a copy, a checkout), by other logs that are judged with it and do tell their year: the year that puts
   the log's beginning nearest to theirs, if that is within `NEAR_NS`;
3. otherwise by the file's time again, and by now.

Pure, apart from `looked_at`, which reads the beginning and the end of a file.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sensors.errors import UnreadableInputError
from sensors.logs.errors import MalformedLineError
from sensors.logs.packed import is_packed
from sensors.logs.stamps import has_no_year, stamp
from sensors.logs.time import DAY
from sensors.registry import read_head

NEAR_NS = 30 * DAY
_HALF_A_YEAR = 183 * DAY
_TAIL_BYTES = 65_536
_EARLIEST = 946_684_800_000_000_000
"""2000-01-01: archives give files times before that which mean nothing."""
_LINES = 20


@dataclass(frozen=True, slots=True)
class Look:
    """What can be seen of a log's time without reading it."""

    first: bytes
    """The first line with a stamp; "" where there is none."""
    last: bytes
    """The last one; "" where it can't be had."""
    written_ns: int
    """When the file was last written to."""

    @property
    def yearless(self) -> bool:
        """Whether its stamps have no year."""
        return bool(self.first) and has_no_year(self.first)


def looked_at(path: Path) -> Look:
    """Look at a file; raise `UnreadableInputError`."""
    lines = read_head(path).split(b"\n")[:_LINES]
    try:
        with path.open("rb") as stream:
            written, size = os.fstat(stream.fileno()).st_mtime_ns, stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            tail = b"" if is_packed(os.pread(stream.fileno(), 4, 0)) else stream.read()
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error
    return Look(_stamped(lines), _stamped(reversed(tail.split(b"\n")[-_LINES:])), written)


def _stamped(lines: Iterable[bytes]) -> bytes:
    return next((line for line in lines if _instant(line, _EARLIEST) is not None), b"")


def _instant(line: bytes, now_ns: int) -> int | None:
    try:
        return stamp(line, now_ns)
    except (MalformedLineError, ValueError):
        return None


def present(look: Look, others: Iterable[Look], now_ns: int) -> int:
    """Return the present of a log (ns) that stands beside others: nothing in it is later."""
    bound = min(now_ns, look.written_ns) if look.written_ns > _EARLIEST else now_ns
    if not look.yearless:
        return now_ns
    last = _instant(look.last, bound) if look.last else None
    if last is not None and abs(bound - last) <= DAY:
        return bound
    begun = [_instant(other.first, now_ns) for other in others if other.first and not other.yearless]
    nearest = [_near(look.first, instant) for instant in begun if instant is not None]
    distance, anchor = min(nearest, default=(NEAR_NS + 1, 0))
    return min(anchor + _HALF_A_YEAR, now_ns) if distance <= NEAR_NS else bound


def _near(line: bytes, instant: int) -> tuple[int, int]:
    """Return how far a line without a year is from an instant in the year that puts it nearest, and the instant."""
    found = _instant(line, instant + _HALF_A_YEAR)
    return (abs(found - instant), instant) if found is not None else (NEAR_NS + 1, instant)
