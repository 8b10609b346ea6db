"""Read the questions of DNS messages to port 53 (RFC 1035): over UDP, and over TCP where a segment is one message.

Guarantees: one question a message, the first; names are lower case without the final dot ("." is the root), bytes that
aren't printable ASCII, dots inside labels and backslashes written as \\xNN; no compression pointer is followed: in a
question it is a fault, as are labels and names that are too long and messages that end early (but not those that the
capture cut short). At most `MAX_A_SECOND` questions a second of event time are kept. Multicast DNS isn't read.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import BAD_DNS, HINT_DNS, MALFORMED, PARSED, Bytes, Numbers, Row
from sensors.packets.jit import kernel
from sensors.packets.words import big16, note
from sensors.values import Rows

MAX_A_SECOND: Final = 200_000
MAX_NAME: Final = 255
SLICE: Final = 1024  # questions found in one call

QUESTION = np.dtype(
    [("packet", "<i8"), ("name", "<i8"), ("length", "<i4"), ("qtype", "<u2"), ("bytes", "<u4")], align=True
)
NAMES: Final = SLICE * MAX_NAME * 4  # an escape takes four bytes

# Places in the state.
SECOND: Final = 0
COUNT: Final = 1
DROPPED: Final = 2
STATE_SIZE: Final = 3

_SECOND: Final = 1_000_000_000
_TCP: Final = 6

# What a reader returns instead of a position.
_BAD: Final = -1
_CUT: Final = -2


@kernel
def _hex(value: int) -> int:
    return value + 48 if value < 10 else value + 87


@kernel
def _write(byte: int, names: Bytes, at: int) -> int:
    """Write one byte of a name, escaped where needed; return the position after it."""
    if 65 <= byte <= 90:
        byte += 32
    if 33 <= byte <= 126 and byte not in (46, 92):
        names[at] = byte
        return at + 1
    names[at] = 92
    names[at + 1] = 120
    names[at + 2] = _hex(byte >> 4)
    names[at + 3] = _hex(byte & 15)
    return at + 4


@kernel
def _name(data: Bytes, at: int, end: int, names: Bytes, to: int) -> tuple[int, int]:
    """Read a name; return the position after it (or `_BAD`, `_CUT`) and after what was written."""
    first, start = at, to
    while True:
        if at >= end:
            return _CUT, to
        size = int(np.int64(data[at]))
        at += 1
        if size == 0:
            break
        if size > 63 or at - first + size + 1 > MAX_NAME:
            return _BAD, to
        if at + size > end:
            return _CUT, to
        if to > start:
            names[to] = 46
            to += 1
        for i in range(at, at + size):
            to = _write(int(np.int64(data[i])), names, to)
        at += size
    if to == start:
        names[to] = 46
        to += 1
    return at, to


@kernel
def _question(data: Bytes, packet: Row, found: Row, names: Bytes, to: int) -> int:
    """Read a message's first question into `found`; return 1, 0 where there is none to read, or `_BAD`."""
    at = packet["offset"] + packet["payload"]
    size = np.int64(packet["payload_bytes"])
    end = min(at + size, packet["offset"] + packet["captured"])
    whole = end == at + size
    if packet["proto"] == _TCP:
        if end - at < 14 or big16(data, at) != size - 2:
            return 0
        at += 2
        size -= 2
    if end - at < 12:
        return _BAD if whole else 0
    if big16(data, at + 2) & 0xF800 or big16(data, at + 4) == 0:  # an answer, not a query, or nothing asked
        return 0
    after, written = _name(data, at + 12, end, names, to)
    if after == _BAD or (whole and (after == _CUT or after + 4 > end)):
        return _BAD
    if after == _CUT or after + 4 > end:
        return 0
    found["name"] = to
    found["length"] = written - to
    found["qtype"] = big16(data, after)
    found["bytes"] = size
    return 1


@kernel
def questions(
    data: Bytes,
    packets: Rows,
    begin: int,
    end: int,
    found: Rows,
    names: Bytes,
    state: Numbers,
    faults: Rows,
    noted: Numbers,
) -> tuple[int, int]:
    """Find questions in packets[begin:end] until `found` is full; return where it stopped and how many there are.

    A packet over UDP whose question is not well formed becomes malformed.
    """
    count = 0
    to = 0
    for i in range(begin, end):
        packet = packets[i]
        if packet["status"] != PARSED or packet["hint"] & HINT_DNS == 0:
            continue
        if count == found.size:
            return i, count
        result = _question(data, packet, found[count], names, to)
        if result == 1:
            second = packet["at"] // _SECOND
            if second != state[SECOND]:
                state[SECOND] = second
                state[COUNT] = 0
            state[COUNT] += 1
            if state[COUNT] > MAX_A_SECOND:
                state[DROPPED] += 1
                continue
            found[count]["packet"] = i
            to += found[count]["length"]
            count += 1
        elif result == _BAD and packet["proto"] != _TCP:
            packet["status"] = MALFORMED
            note(faults, noted, BAD_DNS, packet["offset"], packet["number"])
    return end, count
