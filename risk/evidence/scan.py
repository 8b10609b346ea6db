"""Scans: many ports of one host, one port of many hosts, and either of them slowly (MITRE ATT&CK T1046, T1018).

A scan is told by targets that nobody had reason to expect there: distinct ports or hosts within ten minutes, few of
which answer with payload. Only who begins a flow is blamed; the hosts that answer with RST or ICMP errors never are.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, FlowRule, Reason, Weight
from risk.windows import FlowView
from sensors.values import Entity

TCP, UDP = 6, 17
ICMP = (1, 58)
SPARSE = 0.3
"""A share of answered flows above this is use, not search."""
DISCOVERY_PORTS = (53, 67, 68, 123, 137, 138, 443, 546, 547, 1900, 3478, 3702, 5353, 5355)
"""UDP ports on which ordinary hosts greet many others."""
WEB_PORTS = (80, 443)
PEER_PORTS = (*range(6881, 6890), 51413, 4662, 4672, 8333, 30303)
"""Ports of peer-to-peer networks, whose lists of peers are full of hosts that left."""
SOUGHT_PORTS = (
    21, 22, 23, 102, 135, 139, 161, 445, 502, 1433, 2323, 2375, 3306, 3389, 5432, 5555, 5900, 6379, 7547, 8291, 9200,
    11211, 27017, 37215, 47808, 52869,
)  # fmt: skip
"""Ports that worms and intruders look for, and on which clients rarely need many hosts."""

Column = NDArray[np.float32]


def _targets_or_nothing(targets: Column, needed: Column, done: Column) -> Column:
    return np.where(done < SPARSE * targets, targets / needed, 0).astype(np.float32)


def _vertical(view: FlowView) -> Column:
    ports, failed = view.feature("pair_ports_600"), view.feature("pair_failed_600")
    quiet = np.where(view.rows["proto"] == UDP, 60, 20)
    needed = np.where(failed >= 0.5 * ports, 10, quiet)
    # So many within a minute, all in vain, is no configuration that grew old.
    burst = (failed >= 0.9 * ports) & (view.feature("pair_ports_60") >= 12) & (view.feature("pair_done_600") == 0)
    needed = np.where(burst & (view.rows["proto"] == TCP), 6, needed)
    return _targets_or_nothing(ports, needed, view.feature("pair_done_600"))


def _horizontal(view: FlowView) -> Column:
    peers, failed = view.feature("sweep_peers_600"), view.feature("sweep_failed_600")
    port, proto = view.rows["resp_port"], view.rows["proto"]
    needed = np.full(len(port), 40.0, np.float32)
    needed[failed >= 0.5 * peers] = 12
    needed[np.isin(port, SOUGHT_PORTS)] = 12
    needed[np.isin(port, SOUGHT_PORTS) & (failed >= 0.5 * peers)] = 8
    needed[np.isin(port, WEB_PORTS) & (failed < 0.5 * peers)] = 150
    needed[np.isin(port, PEER_PORTS)] = 300
    needed[(proto == UDP) & np.isin(port, DISCOVERY_PORTS)] = 1000
    needed[np.isin(proto, ICMP)] = np.inf
    return _targets_or_nothing(peers, needed, view.feature("sweep_done_600"))


def _ping(view: FlowView) -> Column:
    peers = np.where(np.isin(view.rows["proto"], ICMP), view.feature("sweep_peers_60"), 0)
    return (peers / 6).astype(np.float32)


def _slow(view: FlowView) -> Column:
    lonely = (view.feature("src_failed_600") >= 0.6) & ~np.isin(view.rows["resp_port"], PEER_PORTS)
    # Faster ones are told as what they are.
    lonely &= (view.feature("pair_ports_600") < 10) & (view.feature("sweep_peers_600") < 8)
    return np.where(lonely, view.feature("src_slow_14400") / 25, 0).astype(np.float32)


def _vertical_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    ports, answered = view.value(row, "pair_ports_600"), view.value(row, "pair_done_600")
    what = f" tried {ports:.0f} ports of "
    return view.orig(row), what, view.resp(row), f" within ten minutes; {answered:.0f} gave an answer"


def _horizontal_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    peers, answered = view.value(row, "sweep_peers_600"), view.value(row, "sweep_done_600")
    port = int(view.rows[row]["resp_port"])
    what = f" tried port {port} of {peers:.0f} hosts within ten minutes; {answered:.0f} gave an answer; the latest was "
    return view.orig(row), what, view.resp(row)


def _ping_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    peers = view.value(row, "sweep_peers_60")
    return view.orig(row), f" pinged {peers:.0f} hosts within a minute; the latest was ", view.resp(row)


def _slow_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    targets, share = view.value(row, "src_slow_14400"), view.value(row, "src_failed_600")
    return view.orig(row), f" found nobody at {targets:.0f} targets within four hours; {share:.0%} of its flows failed"


BEHAVIOUR = Behaviour(
    "scan",
    "Scans of ports and hosts",
    (
        FlowRule(
            Reason(
                "scan.vertical", "T1046", Weight(0.5, 0.18, 0.92), 1800, 1e-4,
                "an inventory or monitoring host that is meant to look at every port",
            ),
            _vertical,
            (("pair_ports_600", 4), ("pair_failed_600", 4), ("src_ports_60", 6)),
            _vertical_words,
        ),
        FlowRule(
            Reason(
                "scan.horizontal", "T1046", Weight(0.5, 0.18, 0.92), 1800, 1e-4,
                "a monitoring host, or a service whose peers are all down at once",
            ),
            _horizontal,
            (("sweep_peers_600", 5), ("sweep_failed_600", 4), ("src_peers_60", 10)),
            _horizontal_words,
        ),
        FlowRule(
            Reason(
                "scan.ping", "T1018", Weight(0.45, 0.25, 0.9), 1800, 1e-4,
                "a monitoring host that pings what it watches",
            ),
            _ping,
            (("sweep_peers_60", 3), ("src_peers_60", 10)),
            _ping_words,
        ),
        FlowRule(
            Reason(
                "scan.slow", "T1046", Weight(0.35, 0.15, 0.82), 7200, 1e-3,
                "a host cut off from services that it is configured to use",
            ),
            _slow,
            (("src_slow_14400", 6), ("src_failed_600", 0.2)),
            _slow_words,
        ),
    ),
)  # fmt: skip
