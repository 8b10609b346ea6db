"""Addresses and host names in one spelling.

Inside flows an address is two unsigned 64-bit halves of its IPv6 form (RFC 4291, section 2.5.5.2 for IPv4). Everywhere
else it is the canonical text of RFC 5952, and IPv4 stays IPv4.
"""

import ipaddress
from functools import lru_cache

from sensors.entities import Entity, EntityKind

_V4_MAPPED = 0xFFFF << 32
_HALF = (1 << 64) - 1
_CACHED = 1 << 16


@lru_cache(_CACHED)
def address_halves(text: str) -> tuple[int, int]:
    """Return the (high, low) 64-bit halves of an IPv4 or IPv6 address; raise ValueError for anything else."""
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return 0, _V4_MAPPED | int(address)
    value = int(address)
    return value >> 64, value & _HALF


def address_text(high: int, low: int) -> str:
    """Return the canonical text of an address given as two 64-bit halves."""
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(high << 64 | low))


@lru_cache(_CACHED)
def normalise_host(text: str) -> str:
    """Return the canonical spelling of an address or host name as logs write it ("" stays "")."""
    text = text.strip().strip("[]").lower().rstrip(".")
    try:
        address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


@lru_cache(1 << 14)
def host_entity(text: str) -> Entity:
    """Return the entity of a normalised address (`ip`) or host name (`host`)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return Entity(EntityKind.HOST, text)
    return Entity(EntityKind.IP, text)
