"""Alerts of other sensors, taken as evidence against the originator of the flow.

How much an alert weighs follows the severity that its sensor gave, and what was learnt of its signature here: one that
speaks of many hosts of a site within a day describes the site, and weighs the less the more hosts it names. Notes about
malformed packets weigh nearly nothing: they come with broken networks far more often than with attacks.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

NOISE = ("generic protocol command decode", "not suspicious traffic", "misc activity")
INNOCENT = "a signature that matches ordinary traffic of this site"
SEVERITIES = {
    1: Reason("alert.major", "", Weight(0.55), 3600, 1e-3, INNOCENT, 0.88),
    2: Reason("alert.medium", "", Weight(0.3), 3600, 1e-2, INNOCENT, 0.7),
    3: Reason("alert.minor", "", Weight(0.1), 1800, 1e-1, INNOCENT, 0.35),
}
MANY = Reason(
    "alert.many", "", Weight(0.4, 0.3, 0.85), 3600, 1e-3, "a scan that the owner ordered, or a sensor badly tuned"
)
NOTE = Reason("alert.note", "", Weight(0.02), 600, 0.5, INNOCENT, 0.1)


MAX_KEYS = 1 << 14
DAY_S = 86400.0
FEW = 6
"""Hosts of a day that one signature may name at its full weight."""


class _Signature:
    """Which hosts one signature named within a day."""

    __slots__ = ("named",)

    def __init__(self) -> None:
        self.named: Distinct[str] = Distinct(DAY_S, 512)

    def trust(self, now: int, host: str) -> float:
        """Return what share of its weight an alert deserves (1 down to about 0.1), with `host` taken note of."""
        self.named.add(now, host)
        return min(1.0, math.sqrt(FEW / max(self.named.count.value, 1.0)))


class _Host:
    """Which signatures one host raised within an hour."""

    __slots__ = ("raised", "told")

    def __init__(self) -> None:
        self.raised: Distinct[str] = Distinct(3600)
        self.told = Told()


class Alerts:
    """Windows of signatures and hosts over the alerts of other sensors."""

    def __init__(self) -> None:
        self._hosts: Keyed[str, _Host] = Keyed(MAX_KEYS, _Host)
        self._signatures: Keyed[str, _Signature] = Keyed(MAX_KEYS, _Signature)

    def evicted(self) -> int:
        """Return how many signatures and hosts were forgotten for want of room."""
        return self._signatures.evicted + self._hosts.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Yield one evidence an alert that names who began the flow."""
        columns = view.columns("ts", "orig", "resp", "signature", "category", "severity")
        for row, (ts, orig, resp, signature, category, severity) in enumerate(columns):
            if not view.texts[orig]:
                continue
            quiet = view.texts[category].lower() in NOISE
            reason = NOTE if quiet else SEVERITIES.get(severity, SEVERITIES[3])
            who = host_entity(view.texts[orig])
            known = self._signatures[view.texts[signature][:200]]
            trust = known.trust(ts, who.id)
            towards = (" against ", host_entity(view.texts[resp])) if view.texts[resp] else ()
            words = who, " raised the alert ", view.texts[signature][:160], *towards
            hosts = known.named.count.value
            facts = [Fact("alert_severity", 4 - min(max(severity, 1), 3), 1), Fact("alert_rarity", 1 / hosts, 1)]
            evidence = reason.evidence(who, view.place(row), 1, words, facts)
            yield Mark(row, replace(evidence, weight=evidence.weight * trust, ceiling=evidence.ceiling * trust))
            if reason in (SEVERITIES[1], SEVERITIES[2]) and trust == 1.0:
                yield from _many(view, row, self._hosts[who.id], who, view.texts[signature][:200])


def _many(view: LogView, row: int, host: _Host, who: Entity, signature: str) -> Iterator[Mark]:
    """Yield that one host raised several different alerts that weigh their full weight here."""
    place = view.place(row)
    host.raised.add(place.ts, signature)
    kinds = host.raised.count.value
    if MANY.due(host.told, kinds / 2.9, place.ts):
        words = who, f" raised {kinds:.0f} different alerts within an hour"
        yield Mark(row, MANY.evidence(who, place, kinds / 2.9, words, [Fact("signatures_3600", kinds, 0.5)]))


BEHAVIOUR = Behaviour("alert", "Alerts of other sensors", (), {Kind.ALERT: Alerts})
