"""Access lines in their plain form, a whole block at a time.

    [host] client identity user [time] "METHOD target HTTP/n" status size ["referrer" "agent"] ...

Blanks and escaped quotes nowhere but where they stand here (and inside target, referrer and agent). Everything else is
left to the parser of single lines.
"""

import numpy as np

from sensors.formats.access import host_name, known
from sensors.logs.builder import BatchBuilder
from sensors.logs.columns import MAX_U2, MAX_U8, Columns, Span
from sensors.logs.time import apache
from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.values import Kind

_HOST, _CLIENT, _USER, _TIME, _METHOD, _TARGET, _STATUS, _SIZE, _REFERRER, _AGENT = range(10)
_COLUMNS = 10
_BARE = np.array([byte > 32 and byte not in b'"[]\\' for byte in range(256)])
_METHOD_BYTES = np.array([chr(byte) in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-" for byte in range(256)])
_HTTP = np.frombuffer(b"HTTP/", np.uint8)


@kernel
def _front(data: Bytes, at: int, end: int, row: int, begins: Numbers, stops: Numbers) -> int:
    """Find host, client and user; return where the time begins, or -1."""
    words, first, second, third, fourth = 0, at, at, at, at
    while words < 5 and at < end and data[at] != 91:
        first, second, third, fourth = second, third, fourth, at
        while at < end and _BARE[data[at]]:
            at += 1
        if at == fourth or at >= end or data[at] != 32:
            return -1
        at += 1
        words += 1
    if at >= end or data[at] != 91 or not 3 <= words <= 4:
        return -1
    if words == 4:
        if (third - second == 2 and data[second] == 45) or fourth - third != 2 or data[third] != 45:
            return -1
        begins[_HOST, row], stops[_HOST, row] = first, second - 1
    begins[_USER, row], stops[_USER, row] = fourth, at - 1
    begins[_CLIENT, row], stops[_CLIENT, row] = second, third - 1
    return int(at + 1)


@kernel
def _request(data: Bytes, at: int, end: int, row: int, begins: Numbers, stops: Numbers) -> None:
    """Split `METHOD target HTTP/n`; where it isn't one, the target is all of it."""
    begins[_TARGET, row], stops[_TARGET, row] = at, end
    blank, last = at, end - 1
    while blank < end and _METHOD_BYTES[data[blank]]:
        blank += 1
    while last > blank and data[last] != 32:
        last -= 1
    if (
        not 0 < blank - at <= 32
        or data[blank] != 32
        or not 65 <= data[at] <= 90
        or last <= blank + 1
        or end - last - 1 < _HTTP.size
    ):
        return
    for index in range(_HTTP.size):
        if data[last + 1 + index] != _HTTP[index]:
            return
    begins[_METHOD, row], stops[_METHOD, row] = at, blank
    begins[_TARGET, row], stops[_TARGET, row] = blank + 1, last


@kernel
def _quoted(data: Bytes, at: int, end: int) -> int:
    """Return where the quoted text that begins before `at` ends; -1 where it doesn't, or has an escaped quote."""
    while at < end and data[at] != 34:
        at += 1
    return at if at < end and data[at - 1] != 92 else -1


@kernel
def _word(data: Bytes, at: int, end: int) -> int:
    while at < end and _BARE[data[at]]:
        at += 1
    return at


@kernel
def _find(data: Bytes, starts: Numbers, ends: Numbers, begins: Numbers, stops: Numbers, good: Bytes) -> None:
    for row in range(good.size):
        end = ends[row]
        at = _front(data, starts[row], end, row, begins, stops)
        if at < 0 or end - at < 32 or data[at + 26] != 93 or data[at + 27] != 32 or data[at + 28] != 34:
            continue
        begins[_TIME, row], stops[_TIME, row] = at, at + 26
        at += 29
        stop = _quoted(data, at, end)
        if stop < 0 or stop + 1 >= end or data[stop + 1] != 32:
            continue
        _request(data, at, stop, row, begins, stops)
        at = stop + 2
        stop = _word(data, at, end)
        if stop == at or stop >= end or data[stop] != 32:
            continue
        begins[_STATUS, row], stops[_STATUS, row] = at, stop
        at = stop + 1
        stop = _word(data, at, end)
        begins[_SIZE, row], stops[_SIZE, row] = at, stop
        if stop == end and stop > at:
            good[row] = 1
            continue
        if stop == at or stop + 2 >= end or data[stop] != 32 or data[stop + 1] != 34:
            continue
        at = stop + 2
        stop = _quoted(data, at, end)
        if stop < 0 or stop + 3 >= end or data[stop + 1] != 32 or data[stop + 2] != 34:
            continue
        begins[_REFERRER, row], stops[_REFERRER, row] = at, stop
        at = stop + 3
        stop = _quoted(data, at, end)
        if stop < 0:
            continue
        begins[_AGENT, row], stops[_AGENT, row] = at, stop
        good[row] = 1


def add_requests(lines: Columns, out: BatchBuilder) -> None:
    """Add the rows of plain lines; lines lose `plain` that aren't."""
    shape = _COLUMNS, len(lines.plain)
    begins, stops, good = np.full(shape, -1, np.int64), np.zeros(shape, np.int64), np.zeros(shape[1], np.uint8)
    _find(lines.data, lines.starts, lines.ends, begins, stops, good)
    lines.plain &= good.astype(np.bool_)
    spans: list[Span] = list(zip(begins, stops, strict=True))
    lines.blank((spans[_STATUS], spans[_SIZE]), b"-")
    status, size = lines.whole(spans[_STATUS], MAX_U2), lines.whole(spans[_SIZE], MAX_U8)
    times = lines.each(spans[_TIME], lambda text: apache(text) if text else 0)
    text = {
        name: lines.coded(out, spans[column], change)
        for name, column, change in (
            ("host", _HOST, lambda text: host_name(text).lower()), ("method", _METHOD, bytes), ("path", _TARGET, bytes),
            ("agent", _AGENT, known), ("referrer", _REFERRER, known), ("user", _USER, known),
        )
    }  # fmt: skip
    lines.add(out, Kind.HTTP, ts=times, orig=lines.hosts(out, spans[_CLIENT]), status=status, bytes=size, **text)
