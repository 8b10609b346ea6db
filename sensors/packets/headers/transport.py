"""Read TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792) and ICMPv6 (RFC 4443) headers.

Guarantees: no byte beyond `end` is read. Anything else has no ports.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import (
    BAD_TRANSPORT,
    CUT_HEADER,
    HINT_DNS,
    HINT_HTTP,
    HINT_REPLY,
    PARSED,
    Bytes,
    Row,
)
from sensors.packets.jit import kernel
from sensors.packets.words import big16, big32

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMP6: Final = 58
SCTP: Final = 132


@kernel
def _icmp(data: Bytes, at: int, end: int, packet: Row) -> int:
    """Read type and code; a reply gets the type of its request, so that both are one flow."""
    if at + 2 > end:
        return CUT_HEADER
    kind = data[at]
    packet["dst_port"] = data[at + 1]
    if packet["proto"] == ICMP:
        if kind == 0:
            kind = np.uint8(8)
            packet["hint"] = HINT_REPLY
        elif kind == 14 or kind == 16 or kind == 18:
            kind = np.uint8(kind - 1)
            packet["hint"] = HINT_REPLY
    elif kind == 129:
        kind = np.uint8(128)
        packet["hint"] = HINT_REPLY
    packet["src_port"] = kind
    return PARSED


@kernel
def _asks(data: Bytes, at: int, end: int) -> bool:
    """Tell whether bytes look like the first line of an HTTP/1 request: a method in capitals, a space, a target."""
    last = min(end, at + 18)
    here = at
    while here < last and data[here] >= 65 and data[here] <= 90:
        here += 1
    return here - at >= 3 and here + 1 < last and data[here] == 32 and data[here + 1] > 32


@kernel
def read_transport(data: Bytes, at: int, end: int, packet: Row) -> int:
    """Read the transport header at `at` of a packet that holds `payload_bytes` from there; return a fault's code or 0.

    `payload_bytes` becomes what is behind the header.
    """
    proto = packet["proto"]
    size = int(packet["payload_bytes"])
    header = 8
    if proto == TCP:
        if at + 16 > end:
            return CUT_HEADER
        header = int(np.int64(data[at + 12]) >> 4) * 4
        if header < 20 or header > size:
            return BAD_TRANSPORT
        packet["flags"] = data[at + 13]
        packet["seq"] = big32(data, at + 4)
        packet["window"] = big16(data, at + 14)
    elif proto == UDP:
        if at + 8 > end:
            return CUT_HEADER
        length = big16(data, at + 4)
        if size < 8 or (length < 8 and length != 0):
            return BAD_TRANSPORT
    elif proto == SCTP:
        header = 12
        if at + 4 > end:
            return CUT_HEADER
        if size < header:
            return BAD_TRANSPORT
    elif proto in (ICMP, ICMP6):
        packet["payload_bytes"] = max(size - header, 0)
        packet["payload"] = at + header - packet["offset"]
        return _icmp(data, at, end, packet)
    else:
        return PARSED
    packet["src_port"] = big16(data, at)
    packet["dst_port"] = big16(data, at + 2)
    packet["payload_bytes"] = size - header
    packet["payload"] = at + header - packet["offset"]
    begin = at + header
    if begin < end and size > header:
        if packet["dst_port"] == 53:
            packet["hint"] = HINT_DNS
        elif proto == TCP and _asks(data, begin, end):
            packet["hint"] = HINT_HTTP
    return PARSED
