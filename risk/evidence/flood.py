"""Floods: one source that sends one destination more than it could want answered (T1498, T1499).

Told by flows or packets towards one destination and by how little comes back. Where very many sources take part none of
them is blamed: each stays below the threshold, and spoofed ones couldn't be blamed in justice.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, Fact, FlowRule, LogView, Mark, Reason, Weight
from risk.windows import FlowView
from risk.windows.keyed import Decayed, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

TCP, UDP = 6, 17
ICMP = (1, 58)
ICMP_ASKS = (8, 13, 15, 17, 128)
"""ICMP types that ask; answers and errors are never held against who sends them."""
MAX_KEYS = 1 << 15

Column = NDArray[np.float32]


def _syn(view: FlowView) -> Column:
    starts = view.feature("pair_starts_10")
    one_target = view.feature("pair_ports_600") < 0.1 * starts
    lonely = (view.rows["proto"] == TCP) & one_target & (view.feature("pair_done_600") < 0.1 * starts)
    return np.where(lonely, starts / 300, 0).astype(np.float32)


def _udp(view: FlowView) -> Column:
    """Short flows from ever new ports of one source, which a flood of UDP looks like where ports are drawn by lot."""
    starts = view.feature("pair_starts_10")
    lonely = (view.rows["proto"] == UDP) & _unanswered(view, 0.1) & (view.feature("pair_done_600") < 0.1 * starts)
    return np.where(lonely, starts / 400, 0).astype(np.float32)


def _connections(view: FlowView) -> Column:
    starts = view.feature("pair_starts_10")
    return np.where(view.feature("pair_ports_600") < 0.3 * starts, starts / 2000, 0).astype(np.float32)


def _unanswered(view: FlowView, share: float) -> NDArray[np.bool_]:
    return view.feature("pair_answers_10") < share * view.feature("pair_packets_10")


def _packets(view: FlowView) -> Column:
    talk = ~np.isin(view.rows["proto"], ICMP) & _unanswered(view, 0.05)
    return np.where(talk, view.feature("pair_packets_10") / 10000, 0).astype(np.float32)


def _icmp(view: FlowView) -> Column:
    rows = view.rows
    pings = np.isin(rows["proto"], ICMP) & np.isin(rows["orig_port"], ICMP_ASKS)
    rate = rows["orig_packets"] / np.maximum(view.feature("duration"), 1.0)
    return np.where(pings, np.minimum(rows["orig_packets"] / 500, rate / 50), 0).astype(np.float32)


def _icmp_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    record = view.rows[row]
    sent, seconds = int(record["orig_packets"]), view.value(row, "duration")
    return view.orig(row), f" sent {sent} ICMP requests within {seconds:.0f} s to ", view.resp(row)


def _flow_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    starts, done = view.value(row, "pair_starts_10"), view.value(row, "pair_done_600")
    what = f" began {starts:.0f} flows within ten seconds towards "
    return view.orig(row), what, view.resp(row), f"; {done:.0f} were answered within ten minutes"


def _packet_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    sent, back = view.value(row, "pair_packets_10"), view.value(row, "pair_answers_10")
    return view.orig(row), f" sent {sent:.0f} packets within ten seconds to ", view.resp(row), f"; {back:.0f} came back"


HTTP = Reason(
    "flood.http", "T1499.002", Weight(0.35, 0.2, 0.85), 600, 1e-3, "a proxy for many people, a crawler or a load test"
)


class _Client:
    """How fast one client asks."""

    __slots__ = ("requests", "told")

    def __init__(self) -> None:
        self.requests = Decayed(10)
        self.told = Told()


class Requests:
    """Windows of clients over the HTTP requests that logs and captures report."""

    def __init__(self) -> None:
        self._clients: Keyed[str, _Client] = Keyed(MAX_KEYS, _Client)

    def evicted(self) -> int:
        """Return how many clients were forgotten for want of room."""
        return self._clients.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Count requests in order and yield what they show."""
        for row, (ts, orig) in enumerate(view.columns("ts", "orig")):
            name = view.texts[orig]
            if not name:
                continue
            client = self._clients[name]
            strength = client.requests.add(ts) / 500
            if HTTP.due(client.told, strength, ts):
                who, many = host_entity(name), client.requests.value
                words = who, f" sent {many:.0f} requests within ten seconds"
                facts = [Fact("requests_10", many, 50)]
                yield Mark(row, HTTP.evidence(who, view.place(row), strength, words, facts, round(many)))


BEHAVIOUR = Behaviour(
    "flood",
    "Floods from one source",
    (
        FlowRule(
            Reason(
                "flood.syn", "T1498.001", Weight(0.5, 0.17, 0.93), 600, 1e-4,
                "a busy proxy whose only server is down",
            ),
            _syn,
            (("pair_starts_10", 30), ("pair_empty_10", 30), ("dst_starts_10", 60)),
            _flow_words,
        ),
        FlowRule(
            Reason(
                "flood.udp", "T1498.001", Weight(0.5, 0.17, 0.93), 600, 1e-4,
                "a collector of logs or figures by UDP that every program of a host sends to",
            ),
            _udp,
            (("pair_starts_10", 30), ("pair_packets_10", 200), ("pair_answers_10", 50)),
            _flow_words,
        ),
        FlowRule(
            Reason(
                "flood.connections", "T1499.002", Weight(0.35, 0.2, 0.85), 600, 1e-3,
                "a proxy for many people, or a load test",
            ),
            _connections,
            (("pair_starts_10", 200), ("dst_starts_10", 400)),
            _flow_words,
        ),
        FlowRule(
            Reason(
                "flood.packets", "T1498.001", Weight(0.4, 0.22, 0.93), 600, 1e-4,
                "a one-way media stream, or a backup over a one-sided capture",
            ),
            _packets,
            (("pair_packets_10", 2000), ("dst_starts_10", 60)),
            _packet_words,
        ),
        FlowRule(
            Reason(
                "flood.icmp", "T1498.001", Weight(0.45, 0.17, 0.93), 600, 1e-4, "somebody measures a path with ping -f",
            ),
            _icmp,
            (("pair_packets_10", 20), ("pair_answers_10", 20)),
            _icmp_words,
        ),
    ),
    {Kind.HTTP: Requests},
)  # fmt: skip
