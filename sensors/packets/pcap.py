"""Walk the records of a classic pcap file (draft-ietf-opsawg-pcap).

Reads both byte orders, microseconds and nanoseconds, and the "modified" form whose record headers are 24 bytes long.
Guarantees: frames lie inside the data; every record is counted, as a frame or as broken; after a record that makes no
sense the walk goes on at the next place where two records in a row make sense (or one that ends the file); time is
linear in the size of the data. It does not read what lies inside a frame.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.packets.records import BIG, CLOCK, CUT, OWN, POSITION, SEEKING, SENSELESS, STRIDE, give_up, put
from sensors.packets.words import word32
from sensors.values import Rows

MAGICS: Final = {
    b"\xa1\xb2\xc3\xd4": (1, 1000, 16),
    b"\xd4\xc3\xb2\xa1": (0, 1000, 16),
    b"\xa1\xb2\x3c\x4d": (1, 1, 16),
    b"\x4d\x3c\xb2\xa1": (0, 1, 16),
    b"\xa1\xb2\xcd\x34": (1, 1000, 24),
    b"\x34\xcd\xb2\xa1": (0, 1000, 24),
}
"""First bytes -> (big-endian, nanoseconds in a tick, bytes of a record's header)."""

HEADER_BYTES: Final = 24
MAX_FRAME: Final = 1 << 18  # as libpcap has it
SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND

# Places in the state of a walk, beyond those of all walks.
TICK: Final = OWN
RECORD: Final = OWN + 1
LINK: Final = OWN + 2
STATE_SIZE: Final = OWN + 3


def begin(data: Bytes) -> Numbers:
    """Return the state of a walk over a file whose first bytes are in `MAGICS` and that is `HEADER_BYTES` long."""
    big, tick, record = MAGICS[data[:4].tobytes()]
    state = np.zeros(STATE_SIZE, np.int64)
    state[POSITION] = HEADER_BYTES
    state[BIG], state[TICK], state[RECORD] = big, tick, record
    state[LINK] = word32(data, 20, big) & 0xFFFF  # the upper bits tell of a frame check sequence
    return state


@kernel
def _captured(data: Bytes, at: int, state: Numbers) -> int:
    """Return the captured length of the record at `at`; `SENSELESS`, or `CUT` where the data end before it does."""
    if at + state[RECORD] > data.size:
        return CUT
    length = word32(data, at + 8, state[BIG])
    if length > MAX_FRAME:
        return SENSELESS
    return length if at + state[RECORD] + length <= data.size else CUT


@kernel
def _time(data: Bytes, at: int, state: Numbers) -> int:
    return int(word32(data, at, state[BIG]) * SECOND + word32(data, at + 4, state[BIG]) * state[TICK])


@kernel
def _plausible(data: Bytes, at: int, state: Numbers) -> bool:
    """Tell whether a record begins at `at`, being stricter than the walk: lengths agree and the time is near."""
    captured = _captured(data, at, state)
    if captured < 0 or captured > word32(data, at + 12, state[BIG]):
        return False
    if word32(data, at + 4, state[BIG]) * state[TICK] >= SECOND:
        return False
    return bool(state[CLOCK] == 0 or abs(_time(data, at, state) - state[CLOCK]) <= DAY)


@kernel
def _seek(data: Bytes, state: Numbers) -> None:
    """Move on to the next two plausible records, or by `STRIDE`."""
    at = state[POSITION]
    end = min(data.size, at + STRIDE)
    while at < end:
        if _plausible(data, at, state):
            after = at + state[RECORD] + _captured(data, at, state)
            if after == data.size or _plausible(data, after, state):
                state[SEEKING] = 0
                break
        at += 1
    state[POSITION] = at


@kernel
def walk(data: Bytes, state: Numbers, packets: Rows, faults: Rows, noted: Numbers) -> int:
    """Fill `packets` with the next frames and return how many; at the end `state[POSITION]` is the size of the data."""
    count = 0
    if state[SEEKING]:
        _seek(data, state)
    while count < packets.size and not state[SEEKING] and state[POSITION] < data.size:
        at = state[POSITION]
        captured = _captured(data, at, state)
        if captured < 0:
            give_up(state, captured, faults, noted)
            _seek(data, state)
            continue
        state[CLOCK] = _time(data, at, state)
        frame = at + state[RECORD]
        put(packets[count], state, frame, captured, word32(data, at + 12, state[BIG]), state[LINK])
        state[POSITION] = frame + captured
        count += 1
    return count
