"""The client behind trusted proxies, by what they say in headers (X-Forwarded-For, RFC 7239, CF-Connecting-IP ...).

Guarantees: a header counts only as far as trusted hops wrote it. Whoever isn't trusted is the client, whatever it says;
what stands left of it in a list was written by it or before it and is never believed. Each trusted network names the
header that its hops write, X-Forwarded-For where it names none, and no other is believed of them: a proxy that appends
to one header passes the others on as strangers sent them. Whatever is no address ends the walk at the hop before. At
most `MAX_HOPS` steps are made and `MAX_BYTES` of a header are read, its end. Nothing raises but `proxies`.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

from sensors.errors import BadProxyError

MAX_HOPS = 32
MAX_BYTES = 4096
LONGEST = 64
"""No address is longer, with zone, brackets and port."""
LISTS = ("x-forwarded-for", "forwarded")
"""Headers to which each hop appends; any other holds one address, and is read once."""
SINGLE = ("cf-connecting-ip", "true-client-ip", "fastly-client-ip", "x-real-ip", "proxy-protocol")
HEADERS = (*LISTS, *SINGLE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Whose headers are believed."""

    def __init__(self, networks: Sequence[tuple[Network, str]]) -> None:
        self._networks = sorted(networks, key=lambda each: -each[0].prefixlen)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return the client's address: `peer` where it isn't trusted. Keys of `headers` are those of `HEADERS`."""
        here = _address(peer)
        if here is None:
            return peer
        left: dict[str, list[str]] = {}
        for _ in range(MAX_HOPS):
            header = self._header(here)
            if header is None:
                break
            if header not in left:
                left[header] = _values(header, headers.get(header, "")[-MAX_BYTES:])
            before = _address(left[header].pop()) if left[header] else None
            if before is None:
                break
            here = before
        return str(here)

    def _header(self, address: Address) -> str | None:
        """Return which header a hop writes; None where it isn't trusted. The narrowest network counts."""
        for network, header in self._networks:
            if address.version == network.version and address in network:
                return header
        return None


NOBODY = Proxies(())


@lru_cache(16)
def proxies(lines: tuple[str, ...]) -> Proxies:
    """Return whose headers are believed, by lines of "NETWORK" or "NETWORK HEADER"; raise `BadProxyError`."""
    return Proxies([_line(line) for line in lines])


def _line(line: str) -> tuple[Network, str]:
    network, _, header = line.strip().partition(" ")
    header = header.strip().lower() or LISTS[0]
    try:
        known = ipaddress.ip_network(network)
    except ValueError as error:
        raise BadProxyError(f"sensors.trusted_proxies: {line!r}: {error}") from error
    if header not in HEADERS:
        raise BadProxyError(f"sensors.trusted_proxies: {line!r}: the header is none of {', '.join(HEADERS)}")
    return known, header


def _values(header: str, text: str) -> list[str]:
    """Return the addresses of a header in the order of the hops, as they are written."""
    if header in SINGLE:
        return [text]
    pieces = text.split(",")
    return [_for(piece) for piece in pieces] if header == "forwarded" else pieces


def _for(element: str) -> str:
    """Return the `for` of an element of Forwarded (RFC 7239, section 4); "" where there is none."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value.strip().strip('"')
    return ""


def _address(text: str) -> Address | None:
    """Return an address, also with a port or in brackets; IPv4 in IPv6 as IPv4. None for anything else."""
    text = text.strip()
    return _read(text) if len(text) <= LONGEST else None  # what strangers make long isn't kept


@lru_cache(1 << 14)
def _read(text: str) -> Address | None:
    if text[:1] == "[":
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
