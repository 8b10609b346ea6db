"""Write frames as a section of pcapng (draft-ietf-opsawg-pcapng): sections one after another are a capture.

Without payload, a frame ends where the payload of its transport begins (or, where that isn't known, after
`MOST_HEADERS` bytes at most); its length on the wire is kept. Time stamps are in nanoseconds.
"""

import struct
from typing import Final

import numpy as np

from sensors.packets.columns import Bytes, Row
from sensors.packets.jit import kernel
from sensors.values import Rows

MOST_HEADERS: Final = 54
_BLOCK: Final = 32  # bytes of an enhanced packet block around its frame
_SECTION: Final = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
_NANOSECONDS: Final = struct.pack("<HHBxxxHH", 9, 1, 9, 0, 0)


@kernel
def _kept(packet: Row, payload: bool) -> int:
    captured = np.int64(packet["captured"])
    if payload:
        return int(captured)
    begin = np.int64(packet["payload"])
    return int(min(captured, begin if begin > 0 else MOST_HEADERS))


@kernel
def _word(out: Bytes, at: int, value: int) -> int:
    for place in range(4):
        out[at + place] = (value >> (8 * place)) & 0xFF
    return at + 4


@kernel
def _blocks(data: Bytes, packets: Rows, count: int, payload: bool, out: Bytes) -> int:
    """Write a block a packet into `out`, which is long enough; return how many bytes."""
    at = 0
    for i in range(count):
        packet = packets[i]
        kept = _kept(packet, payload)
        length = _BLOCK + (kept + 3) // 4 * 4
        ts = int(max(np.int64(packet["ts"]), np.int64(0)))
        at = _word(out, at, 6)
        at = _word(out, at, length)
        at = _word(out, at, 0)
        at = _word(out, at, ts >> 32)
        at = _word(out, at, ts & 0xFFFFFFFF)
        at = _word(out, at, kept)
        at = _word(out, at, int(np.int64(packet["wire"])))
        begin = packet["offset"]
        for place in range((kept + 3) // 4 * 4):
            out[at + place] = data[begin + place] if place < kept else 0
        at += (kept + 3) // 4 * 4
        at = _word(out, at, length)
    return at


def section(data: Bytes, packets: Rows, *, payload: bool) -> bytes:
    """Return the frames of decoded packets of one link, which lie in `data`, as a section."""
    link = int(packets["link"][0]) if len(packets) else 1
    interface = struct.pack("<IIHHI", 1, 32, link, 0, 0) + _NANOSECONDS + struct.pack("<I", 32)
    out = np.empty(len(packets) * (_BLOCK + 4) + int(packets["captured"].sum(dtype=np.int64)), np.uint8)
    size = _blocks(data, packets, len(packets), payload, out)
    return _SECTION + interface + out[:size].tobytes()
