"""Leases as servers of DHCP tell of them, and what clients can't pretend."""

from pathlib import Path

import pytest

from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import Kind

NOW = 1_795_600_000_000_000_000
CARD, ADDRESS = "aa:bb:cc:00:00:01", "10.0.0.5"
KEA = (
    "INFO  [kea-dhcp4.leases/7.1] DHCP4_LEASE_ALLOC [hwtype=1 {}], cid=[01:aa], tid=0x1a2b: lease {} has been allocated"
)


def told(lines: list[str], folder: Path) -> list[tuple[str, ...]]:
    path = folder / "syslog"
    path.write_text("".join(f"Nov  4 10:00:01 gate {line}\n" for line in lines))
    source = open_source(Input(path, path.name, SensorSettings(), NOW), "auth")
    found = []
    for batch in source.batches():
        for row in batch.tables.get(Kind.COMMAND, ()):
            found.append(tuple(batch.texts[row[name]] for name in ("protocol", "object", "orig", "name")))
    assert source.counters.malformed == 0
    return found


@pytest.mark.parametrize(
    "line",
    [
        f"dhcpd[7]: DHCPACK on {ADDRESS} to {CARD} (printer) via eth0",
        f"dhcpd: DHCPACK on {ADDRESS} to {CARD.upper()} via eth0",
        f"dnsmasq-dhcp[7]: DHCPACK(eth0) {ADDRESS} {CARD} printer",
        f"dnsmasq-dhcp[7]: 1234 DHCPACK(eth0) {ADDRESS} {CARD}",
        "kea-dhcp4[7]: " + KEA.format(CARD, ADDRESS) + " for 3600 seconds",
    ],
)
def test_leases(line: str, tmp_path: Path) -> None:
    assert told([line], tmp_path) == [("dhcp", CARD, ADDRESS, "ack")]


@pytest.mark.parametrize(
    "line",
    [
        f"dhcpd[7]: DHCPOFFER on {ADDRESS} to {CARD} (printer) via eth0",
        f"dhcpd[7]: DHCPREQUEST for {ADDRESS} from {CARD} (DHCPACK on {ADDRESS} to {CARD}) via eth0",
        f"dnsmasq-dhcp[7]: DHCPREQUEST(eth0) {ADDRESS} {CARD}",
        f"dnsmasq-dhcp[7]: DHCPNAK(eth0) {ADDRESS} {CARD} address in use",
        f"cron[7]: DHCPACK on {ADDRESS} to {CARD} via eth0",
    ],
)
def test_what_is_no_lease(line: str, tmp_path: Path) -> None:
    assert told([line], tmp_path) == []
