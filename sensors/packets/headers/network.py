"""Read IPv4 (RFC 791) and IPv6 headers with up to `MAX_EXTENSIONS` extension headers (RFC 8200).

Guarantees: no byte beyond `end` is read; `payload_bytes` becomes what the packet holds from its transport header on, by
its own lengths, whether captured or not.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import BAD_IP, CUT_HEADER, FIRST, LATER, WHOLE, Bytes, Row
from sensors.packets.headers.ends import DONE
from sensors.packets.headers.fragments import recall
from sensors.packets.jit import kernel
from sensors.packets.words import big16, big32, big64
from sensors.values import Rows

MAX_EXTENSIONS: Final = 8

_NO_NEXT: Final = 59
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51


@kernel
def _ipv4(data: Bytes, at: int, end: int, packet: Row, fragments: Rows) -> int:
    if at + 20 > end:
        return -CUT_HEADER
    header = int(np.int64(data[at]) & 15) * 4
    total = big16(data, at + 2)
    if total == 0:  # the sender's network card was to cut the packet into pieces
        total = int(packet["wire"]) - (at - int(packet["offset"]))
    if header < 20 or total < header:
        return -BAD_IP
    packet["src_hi"] = 0
    packet["dst_hi"] = 0
    packet["src_lo"] = np.uint64(0xFFFF00000000 | big32(data, at + 12))
    packet["dst_lo"] = np.uint64(0xFFFF00000000 | big32(data, at + 16))
    packet["proto"] = data[at + 9]
    packet["ip_bytes"] = total
    packet["payload_bytes"] = total - header
    packet["ident"] = big16(data, at + 4)
    piece = big16(data, at + 6)
    if piece & 0x1FFF:
        packet["piece"] = LATER
        recall(packet, fragments)
        return DONE
    packet["piece"] = FIRST if piece & 0x2000 else WHOLE
    return at + header


@kernel
def _ipv6(data: Bytes, at: int, end: int, packet: Row, fragments: Rows) -> int:
    if at + 40 > end:
        return -CUT_HEADER
    total = 40 + big16(data, at + 4)
    if total == 40 and data[at + 6] != _NO_NEXT:  # a jumbogram, or left to the network card
        total = int(packet["wire"]) - (at - int(packet["offset"]))
    packet["src_hi"] = big64(data, at + 8)
    packet["src_lo"] = big64(data, at + 16)
    packet["dst_hi"] = big64(data, at + 24)
    packet["dst_lo"] = big64(data, at + 32)
    packet["ip_bytes"] = total
    packet["piece"] = WHOLE
    after = at + total
    kind = int(np.int64(data[at + 6]))
    at += 40
    for _ in range(MAX_EXTENSIONS):
        if kind not in (0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135) or packet["piece"] == LATER:
            break
        if at + 8 > end:
            return -CUT_HEADER
        length = int(np.int64(data[at + 1]) + 1) * 8
        if kind == _FRAGMENT:
            length = 8
            piece = big16(data, at + 2)
            packet["ident"] = big32(data, at + 4)
            packet["piece"] = LATER if piece >= 8 else FIRST if piece & 1 else WHOLE
        elif kind == _AUTHENTICATION:
            length = int(np.int64(data[at + 1]) + 2) * 4
        kind = int(np.int64(data[at]))
        at += length
        if at > after:
            return -BAD_IP
    packet["proto"] = kind
    packet["payload_bytes"] = after - at
    if packet["piece"] == LATER:
        recall(packet, fragments)
        return DONE
    return at


@kernel
def read_network(data: Bytes, at: int, end: int, packet: Row, fragments: Rows) -> int:
    """Read the IP header at `at`; return where the transport header lies."""
    if at >= end:
        return -CUT_HEADER
    version = data[at] >> 4
    if version == 4:
        return _ipv4(data, at, end, packet, fragments)
    if version == 6:
        return _ipv6(data, at, end, packet, fragments)
    return -BAD_IP
