"""Find the IP header behind a link header.

Reads Ethernet with up to `MAX_TAGS` VLAN tags (802.1Q, 802.1ad), PPPoE sessions (RFC 2516), MPLS labels (RFC 3032; an
Ethernet frame behind a control word, RFC 4448, too), Linux cooked v1 and v2, raw IP and BSD loopback
(https://www.tcpdump.org/linktypes.html). Guarantees: no byte beyond the captured ones is read.
"""

from typing import Final

from sensors.packets.columns import CUT_HEADER, Bytes, Row
from sensors.packets.headers.ends import IGNORE
from sensors.packets.jit import kernel
from sensors.packets.words import big16, big32
from sensors.values import Tunnel

LINK_NULL: Final = 0
LINK_ETHERNET: Final = 1
LINK_RAW: Final = 101
LINK_LOOP: Final = 108
LINK_COOKED: Final = 113
LINK_COOKED2: Final = 276

MAX_TAGS: Final = 4
MAX_LABELS: Final = 8

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_PPPOE: Final = 0x8864
_MPLS: Final = int(Tunnel.MPLS)


@kernel
def _behind_labels(data: Bytes, at: int, end: int, packet: Row) -> int:
    """Pass a stack of labels and return where the IP header lies; a packet that was in a tunnel is left alone."""
    if packet["tunnel"] != 0:
        return IGNORE
    for _ in range(MAX_LABELS):
        if at + 5 > end:
            return -CUT_HEADER
        label = big32(data, at)
        at += 4
        if label & 0x100:  # the bottom of the stack
            packet["tunnel"] = _MPLS
            packet["tunnel_id"] = label >> 12
            first = data[at] >> 4
            if first == 4 or first == 6:
                return at
            framed = first == 0 and at + 18 <= end and big16(data, at + 16) in (_IPV4, _IPV6)
            return at + 18 if framed else IGNORE
    return IGNORE


@kernel
def behind_type(data: Bytes, at: int, end: int, packet: Row) -> int:
    """Return where the IP header lies behind the EtherType at `at`."""
    for _ in range(MAX_TAGS + 1):
        if at + 2 > end:
            return -CUT_HEADER
        kind = big16(data, at)
        if kind in (_IPV4, _IPV6):
            return at + 2
        if kind in (0x8847, 0x8848):
            return _behind_labels(data, at + 2, end, packet)
        if kind == _PPPOE:
            if at + 10 > end:
                return -CUT_HEADER
            return at + 10 if big16(data, at + 8) in (0x0021, 0x0057) else IGNORE
        if kind not in (0x8100, 0x88A8, 0x9100):
            return IGNORE
        at += 4
    return IGNORE


@kernel
def behind_link(data: Bytes, packet: Row) -> int:
    """Return where the IP header of a frame lies."""
    at = int(packet["offset"])
    end = at + int(packet["captured"])
    link = packet["link"]
    if link == LINK_ETHERNET:
        return behind_type(data, at + 12, end, packet)
    if link == LINK_COOKED:
        return behind_type(data, at + 14, end, packet)
    if link == LINK_COOKED2:
        if at + 20 > end:
            return -CUT_HEADER
        return at + 20 if big16(data, at) in (_IPV4, _IPV6) else IGNORE
    if link in (LINK_NULL, LINK_LOOP):
        if at + 4 > end:
            return -CUT_HEADER
        family = big32(data, at)
        if family > 0xFFFF:
            family = (family >> 24) | ((family >> 8) & 0xFF00)
        # AF_INET and the values of AF_INET6 on Linux, the BSDs and macOS
        return at + 4 if family in (2, 10, 24, 28, 30) else IGNORE
    if link in (12, 14, LINK_RAW, 228, 229):
        return at
    return IGNORE
