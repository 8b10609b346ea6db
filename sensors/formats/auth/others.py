"""Lines of programs in syslog that others understand: firewalls, servers of DHCP, HAProxy, nginx and Apache."""

from collections.abc import Callable, Mapping
from functools import cache

from sensors.formats.access import AccessParser
from sensors.formats.error import ErrorParser
from sensors.formats.firewall import read_filterlog, read_netfilter, read_routeros
from sensors.formats.haproxy import read_haproxy
from sensors.logs.builder import BatchBuilder
from sensors.logs.dhcp import read_lease
from sensors.logs.errors import MalformedLineError
from sensors.logs.syslog import Record

Reader = Callable[[Record, int, BatchBuilder], bool]
"""Adds the row of a line; returns False where there is none."""


def _netfilter(entry: Record, seq: int, out: BatchBuilder) -> bool:
    return b"SRC=" in entry.message and read_netfilter(entry.message, entry.ts, seq, out)


def _filterlog(entry: Record, seq: int, out: BatchBuilder) -> bool:
    return read_filterlog(entry.message, entry.ts, seq, out)


def _routeros(entry: Record, seq: int, out: BatchBuilder) -> bool:
    return read_routeros(entry.message, entry.ts, seq, out)


def _haproxy(entry: Record, seq: int, out: BatchBuilder) -> bool:
    return read_haproxy(entry.message, seq, out)


def _lease(entry: Record, seq: int, out: BatchBuilder) -> bool:
    return read_lease(entry.message, entry.ts, seq, out)


def _web_server(entry: Record, seq: int, out: BatchBuilder) -> bool:
    for parser in _web_parsers():
        try:
            return parser.parse(entry.message, seq, out)
        except MalformedLineError as error:
            if error.code == "log.time":
                raise
    return False


@cache
def _web_parsers() -> tuple[AccessParser, ErrorParser]:
    return AccessParser(), ErrorParser()


READERS: Mapping[bytes, Reader] = {
    b"kernel": _netfilter,
    b"ulogd": _netfilter,
    b"filterlog": _filterlog,
    b"firewall,info": _routeros,
    b"dhcpd": _lease,
    b"dnsmasq-dhcp": _lease,
    b"kea-dhcp4": _lease,
    b"haproxy": _haproxy,
    b"nginx": _web_server,
    b"apache2": _web_server,
    b"apache": _web_server,
    b"httpd": _web_server,
}
"""By the name of the program, lower case."""


def reader(entry: Record) -> Reader | None:
    """Return who understands a line; UniFi's firewalls name no program."""
    if entry.message.startswith((b'DESCR="', b"[WAN_", b"[LAN_", b"[GUEST_")):
        return _netfilter
    return READERS.get(entry.program)
