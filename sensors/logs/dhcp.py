"""Leases of DHCP as dhcpd (ISC), dnsmasq and Kea tell of them by syslog: which card has which address.

Guarantees: only what a server granted counts (DHCPACK, or a lease that Kea allocated or renewed); names that clients
give themselves come after what is read here and can't pretend anything. IPv4 alone: DHCPv6 knows no cards.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.patterns import Pattern
from sensors.values import Kind

_CARD = "([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5})"
_IPV4 = r"(\d{1,3}(?:\.\d{1,3}){3})"
_DHCPD = Pattern(rf"^DHCPACK on {_IPV4} to {_CARD}(?: |$)")
_DNSMASQ = Pattern(rf"^(?:\d+ )?DHCPACK\(\S+\) {_IPV4} {_CARD}(?: |$)")
_KEA = Pattern(
    rf"\bDHCP4_LEASE_(?:ALLOC|RENEW) \[hwtype=1 {_CARD}\], cid=\[[^\]]*\], tid=0x[0-9a-f]+: lease {_IPV4} has been "
)
_ACK = 5
"""The type of DHCPACK (RFC 2132, section 9.6)."""


def read_lease(message: bytes, ts: int, seq: int, out: BatchBuilder) -> bool:
    """Add the COMMAND row of a lease that was granted: `object` is the card, `orig` its address."""
    found = _DHCPD.groups(message) or _DNSMASQ.groups(message)
    if found is None:
        kea = _KEA.groups(message)
        if kea is None:
            return False
        found = kea[1], kea[0]
    address, card = found
    row = (ts, seq, 0, out.host(address), 0, 67, out.text("dhcp"), out.text(card.lower()), out.text("ack"), _ACK, 0)
    out.row(Kind.COMMAND, row)
    return True
