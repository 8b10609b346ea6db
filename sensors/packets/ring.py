"""The ring that a Linux packet socket shares with us (packet(7), TPACKET_V3), and the walk over its blocks.

Guarantees: frames are read where the kernel put them; a block goes back to the kernel only when it is released, so the
memory is `BLOCKS * BLOCK_BYTES` whatever comes in, and what finds no room is counted by the kernel (`drops`). Frames
lie inside their block. Little-endian machines only, as the columns are.
"""

import mmap
import socket
import struct
from typing import Final

import numpy as np

from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.packets.words import word16, word32
from sensors.values import Rows

BLOCKS: Final = 256
"""Quiet traffic fills one in `RETIRE_MS`: so many that a reader may be away for ten seconds."""
BLOCK_BYTES: Final = 1 << 18
MOST_FRAMES: Final = BLOCK_BYTES // 64  # no frame takes less in a block, with its header of 68 bytes
RETIRE_MS: Final = 40
"""A block that isn't full is handed over after this time."""

# linux/if_packet.h
_SOL_PACKET: Final = 263
_RX_RING: Final = 5
_STATISTICS: Final = 6
_VERSION: Final = 10
_TPACKET_V3: Final = 2
_STATUS: Final = 8  # in a block: whose it is (1: ours), the number of frames, where the first is
_OUTGOING: Final = 4

FRAMES: Final = 0  # place in the state: frames so far
STATE_SIZE: Final = 1


class Ring:
    """A packet socket's receive ring; `data` maps it, read-only."""

    def __init__(self, packet_socket: socket.socket) -> None:
        """Set the ring up; raise OSError where the kernel doesn't give it."""
        self._socket = packet_socket
        packet_socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        frames = BLOCKS * BLOCK_BYTES // 2048
        request = struct.pack("7I", BLOCK_BYTES, BLOCKS, 2048, frames, RETIRE_MS, 0, 0)
        packet_socket.setsockopt(_SOL_PACKET, _RX_RING, request)
        self._map = mmap.mmap(packet_socket.fileno(), BLOCKS * BLOCK_BYTES)
        self.data = np.frombuffer(self._map, np.uint8)
        self.data.flags.writeable = False
        self._next = self._held = 0

    def take(self) -> int:
        """Return where the next block that is ready begins, or -1; none is given twice before it is released."""
        begin = self._next * BLOCK_BYTES
        if self._held == BLOCKS or not struct.unpack_from("I", self._map, begin + _STATUS)[0] & 1:
            return -1
        self._next = (self._next + 1) % BLOCKS
        self._held += 1
        return begin

    def release(self, begin: int) -> None:
        """Give a block that was taken back to the kernel."""
        self._held -= 1
        struct.pack_into("I", self._map, begin + _STATUS, 0)

    def drops(self) -> int:
        """Return the frames that found no room since the last call."""
        return int(struct.unpack("3I", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))[1])

    def close(self) -> None:
        """Unmap the ring; `data` must not be used after."""
        self.data = np.zeros(0, np.uint8)
        self._map.close()


@kernel
def walk(data: Bytes, begin: int, state: Numbers, link: int, skip: int, packets: Rows, count: int) -> int:
    """Add the frames of the block at `begin` to packets[count:]; return how many there are then.

    `skip` is not 0 on a loopback interface, where each packet is seen going out and coming in: only the latter counts.
    """
    left = word32(data, begin + 12, 0)
    at = begin + word32(data, begin + 16, 0)
    last = begin + BLOCK_BYTES
    while left > 0 and count < packets.size and at + 68 <= last:
        captured = word32(data, at + 12, 0)
        offset = at + word16(data, at + 24, 0)
        if offset + captured > last:
            break
        if not (skip and data[at + 58] == _OUTGOING):
            state[FRAMES] += 1
            packet = packets[count]
            packet["ts"] = word32(data, at + 4, 0) * 1_000_000_000 + word32(data, at + 8, 0)
            packet["number"] = state[FRAMES]
            packet["offset"] = offset
            packet["captured"] = captured
            packet["wire"] = max(captured, word32(data, at + 16, 0))
            packet["link"] = link
            count += 1
        following = word32(data, at, 0)
        if following == 0:
            break
        at += following
        left -= 1
    return count
