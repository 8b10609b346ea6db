"""Know which TCP segments go on with a TLS handshake that didn't end in its first one.

Guarantees: at most `PLACES` streams are followed at once (a newer one takes the place of an older one that falls on
it), each for `MOST_BYTES` and `LIFE` of event time; what is followed depends on the packets alone. What a segment means
is the business of `handshakes`.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import Bytes, Row
from sensors.packets.jit import kernel
from sensors.packets.words import big16
from sensors.values import Rows

PLACES: Final = 8192
MOST_BYTES: Final = 16384
LIFE: Final = 10 * 1_000_000_000

STREAM = np.dtype(
    [
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("at", "<i8"),
        ("left", "<i8"),  # bytes that are still wanted; 0 where the place is free
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
    ],
    align=True,
)

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1


@kernel
def _place(packet: Row) -> int:
    mixed = packet["src_lo"] ^ (packet["dst_lo"] * np.uint64(0x9E3779B97F4A7C15)) ^ packet["src_hi"] ^ packet["dst_hi"]
    mixed ^= (np.uint64(packet["src_port"]) << np.uint64(17)) ^ np.uint64(packet["dst_port"])
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return int(mixed >> np.uint64(40)) % PLACES


@kernel
def _wanted(data: Bytes, at: int, end: int) -> int:
    """Return how many bytes after a segment that begins with a hello its handshake may take."""
    kind = data[at + 5]
    here = at
    while here + 5 <= end and data[here] == _HANDSHAKE:
        here += 5 + big16(data, here + 3)
    if here < end and data[here] != _HANDSHAKE:  # what follows is no handshake
        return 0
    if kind == _CLIENT_HELLO:
        return max(here - end, 0)
    return MOST_BYTES - (end - at)


@kernel
def begin(data: Bytes, packet: Row, streams: Rows) -> None:
    """Take in a packet that begins with a hello."""
    at = packet["offset"] + packet["payload"]
    end = min(at + packet["payload_bytes"], packet["offset"] + packet["captured"])
    place = streams[_place(packet)]
    whole = end == at + packet["payload_bytes"]  # what a snap length cut off leaves a hole that nothing closes
    place["left"] = _wanted(data, at, end) if whole else 0
    place["at"] = packet["at"]
    place["src_hi"], place["src_lo"] = packet["src_hi"], packet["src_lo"]
    place["dst_hi"], place["dst_lo"] = packet["dst_hi"], packet["dst_lo"]
    place["src_port"], place["dst_port"] = packet["src_port"], packet["dst_port"]


@kernel
def goes_on(packet: Row, streams: Rows) -> bool:
    """Tell whether a packet goes on with a stream that is followed."""
    place = streams[_place(packet)]
    if place["left"] <= 0 or (
        place["src_lo"] != packet["src_lo"]
        or place["dst_lo"] != packet["dst_lo"]
        or place["src_port"] != packet["src_port"]
        or place["dst_port"] != packet["dst_port"]
        or place["src_hi"] != packet["src_hi"]
        or place["dst_hi"] != packet["dst_hi"]
    ):
        return False
    if packet["at"] - place["at"] > LIFE:
        place["left"] = 0
        return False
    place["left"] -= packet["payload_bytes"]
    return True
