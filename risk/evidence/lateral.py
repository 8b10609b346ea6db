"""Movement from host to host inside: who reaches many new hosts by administrators' protocols, and who hands a login on.

Guarantees: only answered connections between private addresses on ports of remote administration count, only to hosts
that the source did not reach before within a day; so the daily round of a management host is told once. A hop is a host
that was reached itself, from a new place, shortly before it reaches on. MITRE ATT&CK T1021. What the calls inside do is
`remote_call`'s to tell; who only knocks is `scan`'s.
"""

from collections.abc import Iterator

import numpy as np

from risk.behaviours import Behaviour, Fact, Mark, Reason, Weight, place_of
from risk.inside import is_inside
from risk.windows import FlowView
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.addresses import address_text
from sensors.values import Entity, EntityKind, FlowEvent

MAX_KEYS = 1 << 15
DAY_S, HOUR_NS = 86400.0, 3_600_000_000_000
ADMIN_PORTS = (22, 23, 135, 139, 445, 3389, 5900, 5985, 5986)
TCP = 6
SPREADS, HOPS = 5, 2

FANNED = Reason(
    "lateral.fan", "T1021", Weight(0.4, 0.2, 0.8), 3600, 1e-3,
    "a management host that reaches all it manages, on its first day",
)  # fmt: skip
HOPPED = Reason(
    "lateral.hop", "T1021", Weight(0.4, 0.15, 0.75), 3600, 1e-3, "a jump host, over which administrators work"
)

Address = tuple[int, int]


class _Host:
    """Whom one host reached lately, and who reached it last from a new place."""

    __slots__ = ("handed", "reached", "recent", "told", "visited", "visitor")

    def __init__(self) -> None:
        self.reached: Distinct[Address] = Distinct(DAY_S, 512)
        self.recent: Distinct[Address] = Distinct(600)
        self.handed: Distinct[Address] = Distinct(3600)
        self.visitor: Address = (0, 0)
        self.visited = 0
        self.told = Told()


class Journeys:
    """Windows of inside hosts over answered connections by administrators' protocols."""

    def __init__(self) -> None:
        self._hosts: Keyed[Address, _Host] = Keyed(MAX_KEYS, _Host)

    def evicted(self) -> int:
        """Return how many hosts were forgotten for want of room."""
        return self._hosts.evicted

    def watch(self, view: FlowView) -> Iterator[Mark]:
        """Follow connections in order and yield what they show."""
        rows = view.rows
        picked = (rows["proto"] == TCP) & (rows["event"] & FlowEvent.END != 0) & np.isin(rows["resp_port"], ADMIN_PORTS)
        picked &= (rows["resp_bytes"] > 0) & (rows["orig_bytes"] > 0)
        if not picked.any():
            return
        picked &= is_inside(rows["orig_hi"], rows["orig_lo"]) & is_inside(rows["resp_hi"], rows["resp_lo"])
        for row in np.flatnonzero(picked).tolist():
            record = rows[row]
            orig = int(record["orig_hi"]), int(record["orig_lo"])
            resp = int(record["resp_hi"]), int(record["resp_lo"])
            yield from self._reach(view, row, orig, resp)

    def _reach(self, view: FlowView, row: int, orig: Address, resp: Address) -> Iterator[Mark]:
        place, host = place_of(view, row), self._hosts[orig]
        if not host.reached.add(place.ts, resp):
            return
        target = self._hosts[resp]
        target.visitor, target.visited = orig, place.ts
        host.recent.add(place.ts, resp)
        many = host.recent.count.value
        who = view.orig(row)
        if FANNED.due(host.told, many / SPREADS, place.ts):
            what = f" got into touch with {many:.0f} hosts new to it by administrators' protocols within ten minutes"
            facts = [Fact("reached_600", many, 1)]
            yield Mark(row, FANNED.evidence(who, place, many / SPREADS, (who, what), facts, round(many)))
        handed = host.visited and place.ts - host.visited < HOUR_NS and host.visitor != resp
        if handed:
            host.handed.add(place.ts, resp)
            hops = host.handed.count.value
            if HOPPED.due(host.told, hops / HOPS, place.ts):
                visitor = Entity(EntityKind.IP, address_text(*host.visitor))
                words = who, " was reached by ", visitor, f" for the first time and reached {hops:.0f} others since"
                facts = [Fact("handed_3600", hops, 0.5)]
                yield Mark(row, HOPPED.evidence(who, place, hops / HOPS, words, facts, round(hops)))


BEHAVIOUR = Behaviour("lateral", "Movement from host to host", flow_watchers=(Journeys,))
