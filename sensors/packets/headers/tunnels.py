"""Open a tunnel, one level deep: GRE (RFC 2784, 2890; IP, Ethernet and ERSPAN inside), VXLAN (RFC 7348), GENEVE
(RFC 8926), IP in IP (RFC 2003, 2473, 4213).

Guarantees: a packet is opened only where an IP header that makes sense is found inside, so that nothing is lost of what
only looks like a tunnel; nothing beyond `end` is read. What is in a second tunnel is a flow of that tunnel.
"""

from typing import Final

from sensors.packets.columns import Bytes, Row
from sensors.packets.headers.link import behind_type
from sensors.packets.jit import kernel
from sensors.packets.words import big16, big32
from sensors.values import Tunnel

_IPV4_INSIDE: Final = 4
_UDP: Final = 17
_IPV6_INSIDE: Final = 41
_GRE: Final = 47

_VXLAN_PORTS: Final = (4789, 8472)
"""The port of IANA, and the one that Linux took before there was one."""
_GENEVE_PORT: Final = 6081

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_ETHERNET: Final = 0x6558
_ERSPAN: Final = 0x88BE

_KIND_GRE: Final = int(Tunnel.GRE)
_KIND_VXLAN: Final = int(Tunnel.VXLAN)
_KIND_GENEVE: Final = int(Tunnel.GENEVE)
_KIND_IPV4_IN_IPV4: Final = int(Tunnel.IPV4_IN_IPV4)
_KIND_IPV6_IN_IPV4: Final = int(Tunnel.IPV6_IN_IPV4)
_KIND_IPV4_IN_IPV6: Final = int(Tunnel.IPV4_IN_IPV6)
_KIND_IPV6_IN_IPV6: Final = int(Tunnel.IPV6_IN_IPV6)


@kernel
def _is_ip(data: Bytes, at: int, end: int) -> bool:
    """Tell whether a whole IP header that makes sense lies at `at`."""
    if at + 20 > end:
        return False
    first = data[at]
    if first >> 4 == 6:
        return at + 40 <= end
    header = (first & 15) * 4
    return bool(first >> 4 == 4 and header >= 20 and big16(data, at + 2) >= header)


@kernel
def _enter(data: Bytes, at: int, end: int, kind: int, number: int, packet: Row) -> int:
    """Note the tunnel where an IP header lies at `at`, and return that; else return 0."""
    if at <= 0 or not _is_ip(data, at, end):
        packet["tunnel"] = 0
        return 0
    packet["tunnel"] = kind
    packet["tunnel_id"] = number
    return at


@kernel
def _enter_typed(data: Bytes, at: int, end: int, inside: int, kind: int, number: int, packet: Row) -> int:
    """Enter what lies at `at`, whose EtherType is `inside`."""
    if inside in (_IPV4, _IPV6):
        return _enter(data, at, end, kind, number, packet)
    if inside == _ETHERNET:
        packet["tunnel"] = kind  # so that labels inside are left alone
        return _enter(data, behind_type(data, at + 12, end, packet), end, kind, number, packet)
    return 0


@kernel
def _gre(data: Bytes, at: int, end: int, packet: Row) -> int:
    if at + 4 > end:
        return 0
    flags = big16(data, at)
    if flags & 0x4007:  # source routing, or another version
        return 0
    inside = big16(data, at + 2)
    at += 4
    if flags & 0x8000:
        at += 4
    key = 0
    if flags & 0x2000:
        if at + 4 > end:
            return 0
        key = big32(data, at)
        at += 4
    if flags & 0x1000:
        at += 4
    if inside == _ERSPAN:  # type II has a header, and a sequence number; type I neither
        at += 8 if flags & 0x1000 else 0
        inside = _ETHERNET
    return _enter_typed(data, at, end, inside, _KIND_GRE, key, packet)


@kernel
def _over_udp(data: Bytes, at: int, end: int, packet: Row) -> int:
    if at + 16 > end:
        return 0
    port = big16(data, at + 2)
    at += 8
    if port in _VXLAN_PORTS:
        if big32(data, at) != 0x08000000:  # the network is given, and nothing else is said
            return 0
        return _enter_typed(data, at + 8, end, _ETHERNET, _KIND_VXLAN, big32(data, at + 4) >> 8, packet)
    if port == _GENEVE_PORT and data[at] >> 6 == 0:
        behind = at + 8 + int(data[at] & 63) * 4
        return _enter_typed(data, behind, end, big16(data, at + 2), _KIND_GENEVE, big32(data, at + 4) >> 8, packet)
    return 0


@kernel
def open_tunnel(data: Bytes, at: int, end: int, packet: Row) -> int:
    """Return where the IP header inside the tunnel lies whose transport header is at `at`; 0 if it is none."""
    proto = packet["proto"]
    if packet["tunnel"] != 0:
        return 0
    if proto == _UDP:
        return _over_udp(data, at, end, packet)
    if proto == _GRE:
        return _gre(data, at, end, packet)
    is_ipv4 = packet["src_hi"] == 0 and packet["src_lo"] >> 32 == 0xFFFF
    if proto == _IPV4_INSIDE and at < end and data[at] >> 4 == 4:
        return _enter(data, at, end, _KIND_IPV4_IN_IPV4 if is_ipv4 else _KIND_IPV4_IN_IPV6, 0, packet)
    if proto == _IPV6_INSIDE and at < end and data[at] >> 4 == 6:
        return _enter(data, at, end, _KIND_IPV6_IN_IPV4 if is_ipv4 else _KIND_IPV6_IN_IPV6, 0, packet)
    return 0
