"""Read link, network and transport headers of frames into columns.

Guarantees: no byte outside a frame is read; each packet is parsed, ignored (not IP) or malformed, with its fault noted;
lengths come from the headers, so that a capture cut by a snap length gives the true byte counts; fragments carry the
ports of their first fragment where that came earlier and at most 30 s before (a table of `FRAGMENTS` entries, the newer
replaces the older). Event time `at` never goes back. Tunnels are not opened.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import (
    BAD_IP,
    BAD_TRANSPORT,
    CUT_HEADER,
    EMPTY,
    HINT_DNS,
    HINT_HTTP,
    HINT_REPLY,
    IGNORED,
    MALFORMED,
    PARSED,
    Bytes,
    Numbers,
    Row,
)
from sensors.packets.jit import kernel
from sensors.packets.words import big16, big32, big64, note
from sensors.values import Rows

LINK_NULL: Final = 0
LINK_ETHERNET: Final = 1
LINK_LOOP: Final = 108
LINK_COOKED: Final = 113
LINK_COOKED2: Final = 276
LINK_RAW: Final = 101

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMP6: Final = 58
SCTP: Final = 132

MAX_TAGS: Final = 4
MAX_EXTENSIONS: Final = 8
FRAGMENTS: Final = 4096
FRAGMENT_LIFE: Final = 30 * 1_000_000_000

FRAGMENT = np.dtype(
    [
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("at", "<i8"),
        ("id", "<u4"),
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
        ("proto", "u1"),
        ("hint", "u1"),
        ("used", "u1"),
    ],
    align=True,
)

# Places in the decoder's state.
CLOCK: Final = 0
LATE: Final = 1
STATE_SIZE: Final = 2

# What the readers of headers return instead of an offset.
_IGNORE: Final = -1


@kernel
def _link(data: Bytes, packet: Row) -> int:
    """Return where the IP header lies, `_IGNORE`, or minus the code of a fault."""
    at = packet["offset"]
    end = at + packet["captured"]
    link = packet["link"]
    if link == 1:
        at += 12
    elif link == 113:
        at += 14
    elif link == 276:
        if at + 20 > end:
            return -CUT_HEADER
        kind = big16(data, at)
        return int(at + 20) if kind in (0x0800, 0x86DD) else _IGNORE
    elif link == 0 or link == 108:
        if at + 4 > end:
            return -CUT_HEADER
        family = big32(data, at)
        if family > 0xFFFF:
            family = (family >> 24) | ((family >> 8) & 0xFF00)
        # AF_INET and the values of AF_INET6 on Linux, the BSDs and macOS
        known = family in (2, 10, 24, 28, 30)
        return int(at + 4) if known else _IGNORE
    elif link in (12, 14, 101, 228, 229):
        return int(at)
    else:
        return _IGNORE
    for _ in range(MAX_TAGS + 1):
        if at + 2 > end:
            return -CUT_HEADER
        kind = big16(data, at)
        if kind in (0x0800, 0x86DD):
            return int(at + 2)
        if kind not in (0x8100, 0x88A8, 0x9100):
            return _IGNORE
        at += 4
    return _IGNORE


@kernel
def _slot(packet: Row, identifier: int) -> int:
    mixed = (packet["src_lo"] * np.uint64(31) + packet["dst_lo"]) * np.uint64(31) + np.uint64(identifier)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return int(np.int64(mixed >> np.uint64(52)))


@kernel
def _remember(packet: Row, identifier: int, fragments: Rows) -> None:
    """Keep the ports of a first fragment for those that follow."""
    entry = fragments[_slot(packet, identifier)]
    entry["src_hi"] = packet["src_hi"]
    entry["src_lo"] = packet["src_lo"]
    entry["dst_hi"] = packet["dst_hi"]
    entry["dst_lo"] = packet["dst_lo"]
    entry["at"] = packet["at"]
    entry["id"] = identifier
    entry["src_port"] = packet["src_port"]
    entry["dst_port"] = packet["dst_port"]
    entry["proto"] = packet["proto"]
    entry["hint"] = packet["hint"] & HINT_REPLY
    entry["used"] = 1


@kernel
def _recall(packet: Row, identifier: int, fragments: Rows) -> None:
    """Give a later fragment the ports of its first one; they stay 0 where that isn't known."""
    entry = fragments[_slot(packet, identifier)]
    if (
        entry["used"] == 1
        and entry["id"] == identifier
        and entry["proto"] == packet["proto"]
        and entry["src_lo"] == packet["src_lo"]
        and entry["dst_lo"] == packet["dst_lo"]
        and entry["src_hi"] == packet["src_hi"]
        and entry["dst_hi"] == packet["dst_hi"]
        and packet["at"] - entry["at"] <= FRAGMENT_LIFE
    ):
        packet["src_port"] = entry["src_port"]
        packet["dst_port"] = entry["dst_port"]
        packet["hint"] = entry["hint"]


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
def _transport(data: Bytes, at: int, end: int, size: int, packet: Row) -> int:
    """Read the transport header at `at`, whose packet holds `size` bytes from there; return a fault's code or 0."""
    proto = packet["proto"]
    header = 8
    if proto == TCP:
        if at + 14 > end:
            return CUT_HEADER
        header = int(np.int64(data[at + 12]) >> 4) * 4
        if header < 20 or header > size:
            return BAD_TRANSPORT
        packet["flags"] = data[at + 13]
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
        return _icmp(data, at, end, packet)
    else:
        packet["payload_bytes"] = size
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


@kernel
def _ipv4(data: Bytes, at: int, end: int, packet: Row, fragments: Rows) -> int:
    """Read an IPv4 header (RFC 791) and what it carries; return a fault's code or 0."""
    if at + 20 > end:
        return CUT_HEADER
    header = int(np.int64(data[at]) & 15) * 4
    total = big16(data, at + 2)
    if total == 0:  # the sender's network card was to cut the packet into pieces
        total = packet["wire"] - (at - packet["offset"])
    if header < 20 or total < header:
        return BAD_IP
    packet["src_hi"] = 0
    packet["dst_hi"] = 0
    packet["src_lo"] = np.uint64(0xFFFF00000000 | big32(data, at + 12))
    packet["dst_lo"] = np.uint64(0xFFFF00000000 | big32(data, at + 16))
    packet["proto"] = data[at + 9]
    packet["ip_bytes"] = total
    piece = big16(data, at + 6)
    if piece & 0x1FFF:
        packet["payload_bytes"] = total - header
        _recall(packet, big16(data, at + 4), fragments)
        return PARSED
    fault = _transport(data, at + header, min(end, at + total), total - header, packet)
    if fault == PARSED and piece & 0x2000:
        _remember(packet, big16(data, at + 4), fragments)
    return fault


@kernel
def _ipv6(data: Bytes, at: int, end: int, packet: Row, fragments: Rows) -> int:
    """Read an IPv6 header with its extensions (RFC 8200) and what it carries; return a fault's code or 0."""
    if at + 40 > end:
        return CUT_HEADER
    total = 40 + big16(data, at + 4)
    if total == 40 and data[at + 6] != 59:  # a jumbogram, or left to the network card
        total = packet["wire"] - (at - packet["offset"])
    packet["src_hi"] = big64(data, at + 8)
    packet["src_lo"] = big64(data, at + 16)
    packet["dst_hi"] = big64(data, at + 24)
    packet["dst_lo"] = big64(data, at + 32)
    packet["ip_bytes"] = total
    after = at + total
    kind = int(np.int64(data[at + 6]))
    at += 40
    piece = -1
    identifier = 0
    for _ in range(MAX_EXTENSIONS):
        if kind not in (0, 43, 44, 51, 60, 135):
            break
        if at + 8 > end:
            return CUT_HEADER
        length = 8
        if kind == 44:
            piece = big16(data, at + 2)
            identifier = big32(data, at + 4)
        elif kind == 51:
            length = int(np.int64(data[at + 1]) + 2) * 4
        else:
            length = int(np.int64(data[at + 1]) + 1) * 8
        kind = int(np.int64(data[at]))
        at += length
        if at > after:
            return BAD_IP
        if piece >= 8:
            break
    packet["proto"] = kind
    if piece >= 8:
        packet["payload_bytes"] = after - at
        _recall(packet, identifier, fragments)
        return PARSED
    fault = _transport(data, at, min(end, after), after - at, packet)
    if fault == PARSED and piece >= 0 and piece & 1:
        _remember(packet, identifier, fragments)
    return fault


@kernel
def _frame(data: Bytes, packet: Row, fragments: Rows) -> int:
    """Read one frame; return 0, `_IGNORE` or a fault's code."""
    if packet["captured"] == 0:
        return EMPTY
    at = _link(data, packet)
    if at < 0:
        return _IGNORE if at == _IGNORE else -at
    end = packet["offset"] + packet["captured"]
    if at >= end:
        return CUT_HEADER
    version = data[at] >> 4
    if version == 4:
        return _ipv4(data, at, end, packet, fragments)
    if version == 6:
        return _ipv6(data, at, end, packet, fragments)
    return BAD_IP


@kernel
def decode(
    data: Bytes, packets: Rows, count: int, state: Numbers, fragments: Rows, faults: Rows, noted: Numbers
) -> None:
    """Read the headers of the first `count` packets into their columns."""
    for i in range(count):
        packet = packets[i]
        if packet["ts"] < state[CLOCK]:
            state[LATE] += 1
        else:
            state[CLOCK] = packet["ts"]
        packet["at"] = state[CLOCK]
        packet["hint"] = 0
        packet["flags"] = 0
        packet["src_port"] = 0
        packet["dst_port"] = 0
        packet["payload"] = 0
        packet["payload_bytes"] = 0
        found = _frame(data, packet, fragments)
        if found == PARSED:
            packet["status"] = PARSED
        elif found == _IGNORE:
            packet["status"] = IGNORED
        else:
            packet["status"] = MALFORMED
            note(faults, noted, found, packet["offset"], packet["number"])
