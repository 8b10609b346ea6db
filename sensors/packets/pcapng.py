"""Walk the blocks of a pcapng file (draft-ietf-opsawg-pcapng).

Reads sections of either byte order, up to `MAX_INTERFACES` interfaces in each with their if_tsresol and if_tsoffset,
enhanced, simple and (obsolete) packet blocks; every other block is passed over. The guarantees are those of `pcap`: a
block that makes no sense is one fault, and the walk goes on at the next that has a known type and the same length at
both ends. A simple packet block has no time: it gets that of the packet before it.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import BAD_INTERFACE, BAD_RECORD, BAD_TIME, Bytes, Numbers, Row
from sensors.packets.jit import kernel
from sensors.packets.records import BIG, BROKEN, CLOCK, CUT, OWN, POSITION, SEEKING, SENSELESS, STRIDE, give_up, put
from sensors.packets.words import big32, note, word16, word32, word64
from sensors.values import Rows

MAGIC: Final = b"\x0a\x0d\x0d\x0a"
HEADER_BYTES: Final = 28
MAX_INTERFACES: Final = 1024

# Types of blocks.
SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
OBSOLETE: Final = 2
SIMPLE: Final = 3
ENHANCED: Final = 6

_BYTE_ORDER: Final = 0x1A2B3C4D
_SWAPPED: Final = 0x4D3C2B1A
_TSRESOL: Final = 9
_TSOFFSET: Final = 14
_SECOND: Final = 1_000_000_000
_LAST_SECOND: Final = 9_223_372_036  # of 2262, as far as 64 bits of nanoseconds go

# Places in the state of a walk, beyond those of all walks.
INTERFACES: Final = OWN
TABLE: Final = OWN + 1  # for each interface: link type, snap length, resolution as in if_tsresol, offset in seconds
_LINK: Final = 0
_SNAP: Final = 1
_RESOLUTION: Final = 2
_OFFSET: Final = 3
_WIDTH: Final = 4


def begin() -> Numbers:
    """Return the state of a walk over a file that starts with `MAGIC`."""
    return np.zeros(TABLE + MAX_INTERFACES * _WIDTH, np.int64)


@kernel
def _order(data: Bytes, at: int, state: Numbers) -> int:
    """Return the byte order of the block at `at` (1 is big-endian), -1 for a section without one."""
    if big32(data, at) != SECTION:
        return int(state[BIG])
    magic = big32(data, at + 8)
    if magic == _BYTE_ORDER:
        return 1
    return 0 if magic == _SWAPPED else -1


@kernel
def _length(data: Bytes, at: int, state: Numbers) -> int:
    """Return the length of the block at `at`; `SENSELESS`, or `CUT` where the data end before it does."""
    if at + 12 > data.size:
        return CUT
    big = _order(data, at, state)
    if big < 0:
        return SENSELESS
    length = word32(data, at + 4, big)
    if length < 12 or length % 4 != 0:
        return SENSELESS
    if at + length > data.size:
        return CUT
    return length if word32(data, at + length - 4, big) == length else SENSELESS


@kernel
def _seek(data: Bytes, state: Numbers) -> None:
    """Move on to the next block of a known type whose two lengths agree, or by `STRIDE`."""
    at = state[POSITION]
    end = min(data.size, at + STRIDE)
    while at < end:
        if at + 12 <= data.size:
            kind = word32(data, at, state[BIG])
            known = kind in (SECTION, INTERFACE, OBSOLETE, SIMPLE, 4, 5, ENHANCED)
            if known and _length(data, at, state) > 0:
                state[SEEKING] = 0
                break
        at += 1
    state[POSITION] = at


@kernel
def _describe(data: Bytes, at: int, length: int, state: Numbers) -> bool:
    """Enter an interface into the table; return False where there is no room or the block is too short."""
    if length < 20 or state[INTERFACES] == MAX_INTERFACES:
        return False
    big = state[BIG]
    row = TABLE + state[INTERFACES] * _WIDTH
    state[INTERFACES] += 1
    state[row + _LINK] = word16(data, at + 8, big)
    state[row + _SNAP] = word32(data, at + 12, big)
    state[row + _RESOLUTION] = 6
    state[row + _OFFSET] = 0
    here = at + 16
    end = at + length - 4
    while here + 4 <= end:
        code = word16(data, here, big)
        size = word16(data, here + 2, big)
        if code == 0 or here + 4 + size > end:
            break
        if code == _TSRESOL and size == 1:
            state[row + _RESOLUTION] = data[here + 4]
        elif code == _TSOFFSET and size == 8:
            state[row + _OFFSET] = word64(data, here + 4, big)
        here += 4 + (size + 3) // 4 * 4
    return True


@kernel
def _nanoseconds(high: int, low: int, resolution: int, offset: int) -> int:
    """Return a time in ns since the epoch; -1 where it lies outside 1970 to 2262."""
    ticks = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
    exponent = np.uint64(resolution & 127)
    if resolution & 128:
        if exponent > 63:
            return -1
        seconds = ticks >> exponent
        rest = ticks - (seconds << exponent)
        if exponent > 32:
            rest >>= exponent - np.uint64(32)
            exponent = np.uint64(32)
        nanos = (rest * np.uint64(_SECOND)) >> exponent
    else:
        if exponent > 19:
            return -1
        ticks_a_second = np.uint64(1)
        for _ in range(exponent):
            ticks_a_second *= np.uint64(10)
        seconds = ticks // ticks_a_second
        rest = ticks - seconds * ticks_a_second
        if exponent > 9:
            nanos = rest // (ticks_a_second // np.uint64(_SECOND))
        else:
            nanos = rest * (np.uint64(_SECOND) // ticks_a_second)
    if seconds >= np.uint64(_LAST_SECOND) or abs(offset) >= _LAST_SECOND:
        return -1
    whole = np.int64(seconds) + offset
    return int(whole * _SECOND + np.int64(nanos)) if 0 <= whole < _LAST_SECOND else -1


@kernel
def _packet(data: Bytes, at: int, length: int, kind: int, state: Numbers, packet: Row) -> int:
    """Fill in a frame from a block; return a fault's code or 0."""
    big = state[BIG]
    interface = 0
    if kind == SIMPLE:
        if length < 16:
            return BAD_RECORD
        wire = word32(data, at + 8, big)
        begin, captured = 12, min(wire, length - 16)
    else:
        if length < 32:
            return BAD_RECORD
        interface = word32(data, at + 8, big) if kind == ENHANCED else word16(data, at + 8, big)
        begin, captured, wire = 28, word32(data, at + 20, big), word32(data, at + 24, big)
        if captured > length - 32:
            return BAD_RECORD
    if interface >= state[INTERFACES]:
        return BAD_INTERFACE
    row = TABLE + interface * _WIDTH
    if kind == SIMPLE:
        if state[row + _SNAP] > 0:
            captured = min(captured, state[row + _SNAP])
    else:
        ts = _nanoseconds(
            word32(data, at + 12, big), word32(data, at + 16, big), state[row + _RESOLUTION], state[row + _OFFSET]
        )
        if ts < 0:
            return BAD_TIME
        state[CLOCK] = ts
    put(packet, state, at + begin, captured, wire, state[row + _LINK])
    return 0


@kernel
def walk(data: Bytes, state: Numbers, packets: Rows, faults: Rows, noted: Numbers) -> int:
    """Fill `packets` with the next frames and return how many; at the end `state[POSITION]` is the size of the data."""
    count = 0
    if state[SEEKING]:
        _seek(data, state)
    while count < packets.size and not state[SEEKING] and state[POSITION] < data.size:
        at = state[POSITION]
        length = _length(data, at, state)
        if length < 0:
            give_up(state, length, faults, noted)
            _seek(data, state)
            continue
        fault = 0
        kind = word32(data, at, state[BIG])
        if kind == SECTION:
            state[BIG] = _order(data, at, state)
            state[INTERFACES] = 0
        elif kind == INTERFACE:
            fault = 0 if _describe(data, at, length, state) else BAD_INTERFACE
        elif kind in (OBSOLETE, SIMPLE, ENHANCED):
            fault = _packet(data, at, length, kind, state, packets[count])
            if fault == 0:
                count += 1
        if fault:
            note(faults, noted, fault, at, 0)
            state[BROKEN] += 1
        state[POSITION] = at + length
    return count
