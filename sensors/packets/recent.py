"""Keep the latest packets of a source, so that somebody's can be looked at again.

Guarantees: at most `size` bytes of frames and `MAX_FRAMES` frames, the latest; a frame is cut to `SNAP` bytes. `take`
is called where packets are decoded, `of` from any thread: what it returns is a copy.
"""

import struct
from threading import Lock
from typing import Final

import numpy as np

from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.values import Rows

SNAP: Final = 2048
MAX_FRAMES: Final = 1 << 17
KEPT = np.dtype(
    [
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("ts", "<i8"),
        ("begin", "<i8"),  # place among all bytes that were ever written
        ("size", "<u4"),
        ("wire", "<u4"),
        ("link", "<u2"),
    ],
    align=True,
)
_WRITTEN, _FRAMES = 0, 1
_MAGIC: Final = 0xA1B23C4D
_SECOND: Final = 1_000_000_000


@kernel
def _keep(data: Bytes, packets: Rows, count: int, ring: Bytes, kept: Rows, state: Numbers) -> None:
    """Copy the frames of the first `count` packets into the ring."""
    for i in range(count):
        packet = packets[i]
        size = min(int(packet["captured"]), SNAP)
        if size == 0:
            continue
        place = state[_WRITTEN] % ring.size
        if place + size > ring.size:  # a frame lies in one piece
            state[_WRITTEN] += ring.size - place
            place = 0
        begin = packet["offset"]
        for at in range(size):
            ring[place + at] = data[begin + at]
        row = kept[state[_FRAMES] % kept.size]
        row["src_hi"], row["src_lo"] = packet["src_hi"], packet["src_lo"]
        row["dst_hi"], row["dst_lo"] = packet["dst_hi"], packet["dst_lo"]
        row["ts"], row["begin"], row["size"] = packet["ts"], state[_WRITTEN], size
        row["wire"], row["link"] = packet["wire"], packet["link"]
        state[_WRITTEN] += size
        state[_FRAMES] += 1


class RecentPackets:
    """The latest packets of one source."""

    def __init__(self, size: int) -> None:
        self._ring = np.zeros(max(size, SNAP), np.uint8)
        self._kept = np.zeros(MAX_FRAMES, KEPT)
        self._state = np.zeros(2, np.int64)
        self._lock = Lock()

    def take(self, data: Bytes, packets: Rows, count: int) -> None:
        """Keep the first `count` decoded packets, whose frames lie in `data`."""
        with self._lock:
            _keep(data, packets, count, self._ring, self._kept, self._state)

    def of(self, address: tuple[int, int], most: int) -> bytes:
        """Return the latest `most` packets from or to an address (its halves) as a capture (pcap); b"" for none."""
        with self._lock:
            kept = self._kept
            high, low = np.uint64(address[0]), np.uint64(address[1])
            mine = ((kept["src_lo"] == low) & (kept["src_hi"] == high)) | (
                (kept["dst_lo"] == low) & (kept["dst_hi"] == high)
            )
            there = (kept["size"] > 0) & (kept["begin"] >= self._state[_WRITTEN] - self._ring.size)
            rows = kept[mine & there]
            rows = rows[np.argsort(rows["begin"])][-most:]
            rows = rows[rows["link"] == rows["link"][-1]] if len(rows) else rows
            return _capture(rows, self._ring) if len(rows) else b""


def _capture(rows: Rows, ring: Bytes) -> bytes:
    parts = [struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, SNAP, int(rows["link"][-1]))]
    for ts, begin, size, wire in rows[["ts", "begin", "size", "wire"]].tolist():
        seconds, nanos = divmod(max(ts, 0), _SECOND)
        place = begin % ring.size
        parts.append(struct.pack("<IIII", seconds & 0xFFFFFFFF, nanos, size, max(wire, size)))
        parts.append(ring[place : place + size].tobytes())
    return b"".join(parts)
