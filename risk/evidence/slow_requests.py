"""Requests that never end: one client that holds many connections of a web server open and says nearly nothing.

Slowloris and its kin (MITRE ATT&CK T1499.002) need no bandwidth: each connection stays for a long time, carries a few
bytes and gets no answer. Told by flows that end so, and by the server's own log of requests that timed out (408).
"""

from collections.abc import Iterator

import numpy as np

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight, place_of
from risk.windows import FlowView
from risk.windows.keyed import Decayed, Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import FlowEvent, Kind, Service

MAX_KEYS = 1 << 14
TCP, TIMED_OUT = 6, 408
ENDS = ("orig_hi", "orig_lo", "resp_hi", "resp_lo", "resp_port")
LASTS_S, SAYS, HEARS = 8.0, 2000, 600
WEB_PORTS = (80, 443, 3000, 5000, 8000, 8008, 8080, 8081, 8443, 8888)

HELD = Reason(
    "slow_requests.held", "T1499.002", Weight(0.5, 0.25, 0.93), 900, 1e-4,
    "a proxy with a pool of idle connections to a server that is down",
)  # fmt: skip
LOGGED = Reason(
    "slow_requests.logged", "T1499.002", Weight(0.4, 0.25, 0.9), 900, 1e-3,
    "many phones on a bad line behind one address",
)  # fmt: skip


class _Client:
    """Which connections of one client to one server port lingered."""

    __slots__ = ("lingering", "told")

    def __init__(self) -> None:
        self.lingering: Distinct[int] = Distinct(120, 512)
        self.told = Told()


class Connections:
    """Windows of (client, server, port) over flows that lasted and said nothing."""

    def __init__(self) -> None:
        self._clients: Keyed[tuple[int, ...], _Client] = Keyed(MAX_KEYS, _Client)

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        return self._clients.evicted

    def watch(self, view: FlowView) -> Iterator[Mark]:
        """Count lingering connections in order and yield what they show."""
        rows = view.rows
        poor = (rows["proto"] == TCP) & (rows["event"] & FlowEvent.END != 0) & (rows["orig_bytes"] < SAYS)
        poor &= (rows["resp_bytes"] < HEARS) & (rows["orig_bytes"] > 0) & (view.feature("duration") >= LASTS_S)
        poor &= np.isin(rows["resp_port"], WEB_PORTS) | (rows["service"] == Service.HTTP)
        for row in np.flatnonzero(poor).tolist():
            record, place = rows[row], place_of(view, row)
            client = self._clients[tuple(record[name].item() for name in ENDS)]
            client.lingering.add(place.ts, int(record["orig_port"]))
            many = client.lingering.count.value
            if HELD.due(client.told, many / 25, place.ts):
                what = f" held {many:.0f} connections open within two minutes, each for seconds and nearly silent, to "
                words = view.orig(row), what, view.resp(row)
                facts = [Fact("lingering_120", many, 4), Fact("duration", view.value(row, "duration"), 5)]
                yield Mark(row, HELD.evidence(view.orig(row), place, many / 25, words, facts, round(many)))


class _Late:
    """How often one client's requests timed out."""

    __slots__ = ("told", "unfinished")

    def __init__(self) -> None:
        self.unfinished = Decayed(120)
        self.told = Told()


class Timeouts:
    """Windows of clients over requests that a server gave up."""

    def __init__(self) -> None:
        self._clients: Keyed[str, _Late] = Keyed(MAX_KEYS, _Late)

    def evicted(self) -> int:
        """Return how many clients were forgotten for want of room."""
        return self._clients.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Count requests that timed out in order and yield what they show."""
        for row, (ts, orig, status) in enumerate(view.columns("ts", "orig", "status")):
            if status != TIMED_OUT or not view.texts[orig]:
                continue
            who = host_entity(view.texts[orig])
            late = self._clients[who.id]
            many = late.unfinished.add(ts)
            if LOGGED.due(late.told, many / 15, ts):
                words = who, f" left {many:.0f} requests unfinished within two minutes until the server gave up"
                facts = [Fact("unfinished_120", many, 3)]
                yield Mark(row, LOGGED.evidence(who, view.place(row), many / 15, words, facts, round(many)))


BEHAVIOUR = Behaviour("slow_requests", "Requests that never end", (), {Kind.HTTP: Timeouts}, (Connections,))
