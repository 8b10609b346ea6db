"""What this machine must never cut off: its own addresses, its gateways and its DNS servers.

The one module here, besides the actuators, that does I/O: it runs `ip` (iproute2) in the current network namespace and
reads the resolver's files. The facts are a moment's: whoever acts later asks again. An answer that cannot be had is an
error, never an empty list.
"""

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from response.errors import MachineFactsError
from response.guards import NeverList, Protected, protect

Item = Mapping[str, Any]  # an object of `ip -json`, hence Any

RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_PLACES = ("/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip")
_TIMEOUT_S = 5.0


def never_list(allowed: Iterable[str] = ()) -> NeverList:
    """Return whom this machine must never act on; `allowed` are the operator's addresses and networks.

    Raises `MachineFactsError`, for one of the operator's that is no address or network as well.
    """
    try:
        exempted = protect(allowed, "the operator exempted it")
    except ValueError as error:
        raise MachineFactsError(f"response.never: {error}") from error
    return NeverList((*exempted, *protected_here()))


def protected_here() -> tuple[Protected, ...]:
    """Return the facts about this machine, from the kernel and the resolver's files; raise `MachineFactsError`."""
    routes = [*_ip("-4", "route", "show", "table", "all"), *_ip("-6", "route", "show", "table", "all")]
    return facts(_ip("addr"), routes, [_read(path) for path in RESOLVER_FILES])


def facts(links: Sequence[Item], routes: Sequence[Item], resolvers: Sequence[str]) -> tuple[Protected, ...]:
    """Return what is protected, given `ip -json addr`, `ip -json route` and the resolver's files as text. Pure."""
    try:
        return (
            *protect(_own(links), "it is one of this machine's own addresses"),
            *protect(_broadcast(links), "it is the broadcast address of one of this machine's networks"),
            *protect(_gateways(routes), "it is a gateway of this machine"),
            *protect(_nameservers(resolvers), "it is a DNS server of this machine"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MachineFactsError(f"the machine's addresses are not as expected: {error!r}") from error


def _own(links: Sequence[Item]) -> Iterator[str]:
    return (address["local"] for link in links for address in link.get("addr_info", ()))


def _broadcast(links: Sequence[Item]) -> Iterator[str]:
    for info in (address for link in links for address in link.get("addr_info", ())):
        if info["family"] == "inet" and info["prefixlen"] < 31:  # whether or not the interface names it
            yield str(ipaddress.ip_interface(f"{info['local']}/{info['prefixlen']}").network.broadcast_address)
        if "broadcast" in info:
            yield info["broadcast"]


def _gateways(routes: Sequence[Item]) -> Iterator[str]:
    for route in routes:
        for hop in (route, *route.get("nexthops", ())):
            if "gateway" in hop:
                yield hop["gateway"]
            elif "via" in hop:  # an IPv6 gateway of an IPv4 route (RFC 5549)
                yield hop["via"]["host"]


def _nameservers(resolvers: Sequence[str]) -> Iterator[str]:
    lines = (line.split() for text in resolvers for line in text.splitlines())
    return (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise MachineFactsError(f"{path}: {error.strerror or error}") from error


def _ip(*arguments: str) -> list[Item]:
    place = next((place for place in _PLACES if Path(place).is_file()), None)
    if place is None:
        raise MachineFactsError("ip is not installed (Debian: apt install iproute2), so own addresses are not known")
    try:
        done = subprocess.run(
            [place, "-json", *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        found: list[Item] = json.loads(done.stdout or "[]")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MachineFactsError(f"ip {' '.join(arguments)}: {error}") from error
    return found
