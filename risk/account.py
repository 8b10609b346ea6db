"""What is held against one entity: its records, and what they add up to.

A record is what one sensor told of one reason. Reasons are taken as independent, sensors are not: two that watch the
same traffic tell the same deed twice. So within a behaviour the sensor that holds most against the entity counts, the
maximum and not the sum; over behaviours the risks multiply: risk = 1 - prod over behaviours of min over sensors of
prod(1 - w), each w halving with its own half-life.

Guarantees: adding evidence never lowers a risk; at most `MAX_RECORDS` are kept, the weakest given up. Beside each
weight stands the one that counts after labels were heard (`counted`); the weight itself is never changed by a label.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from risk.values import Evidence, Level

CUTS = ((Level.CRITICAL, 0.9), (Level.HIGH, 0.7), (Level.ELEVATED, 0.4), (Level.GUARDED, 0.2), (Level.LOW, 0.0))
MARGIN = 0.05
"""A level is left only when the risk has fallen this far below where it began."""
LEAST = 5e-5
"""Weights below this round to nothing."""
MAX_RECORDS = 24

Key = tuple[str, str]
"""(reason, sensor)."""


@dataclass(slots=True)
class Record:
    """One reason as one sensor told it."""

    weight: float
    ts: int
    half_life_s: float
    evidence: Evidence
    """The newest that renewed it, for its words and facts."""
    count: int
    counted: float
    """The weight after labels were heard."""

    def at(self, now: int) -> float:
        """Return what counts at an instant."""
        return self.counted * math.exp2((self.ts - now) / 1e9 / self.half_life_s) if now > self.ts else self.counted

    def raw_at(self, now: int) -> float:
        """Return the weight at an instant, as if nobody had labelled anything."""
        return self.weight * math.exp2((self.ts - now) / 1e9 / self.half_life_s) if now > self.ts else self.weight


@dataclass(slots=True)
class Account:
    """The records of one entity."""

    records: dict[Key, Record] = field(default_factory=dict)
    level: Level = Level.LOW
    """At the newest evidence, as if nobody had labelled anything."""
    ts: int = 0
    epoch: int = -1
    """The labels that `counted` stands for."""
    groups: tuple[tuple[tuple[Record, ...], ...], ...] = ()
    """The records by behaviour and sensor."""

    def risk(self, now: int) -> float:
        """Return the risk by the records that count."""
        left = 1.0
        for sensors in self.groups:
            least = 1.0
            for records in sensors:
                kept = 1.0
                for record in records:
                    kept *= 1.0 - record.at(now)
                least = min(least, kept)
            left *= least
        return 1.0 - left

    def raw_risk(self, now: int) -> float:
        """Return the risk as if nobody had labelled anything."""
        left = 1.0
        for sensors in self.groups:
            left *= min(math.prod(1.0 - record.raw_at(now) for record in records) for records in sensors)
        return 1.0 - left

    def counting(self, now: int) -> list[tuple[float, Record]]:
        """Return the records that make up the risk, with their weights at an instant: one sensor a behaviour."""
        found: list[tuple[float, Record]] = []
        for sensors in self.groups:
            weighed = [[(record.at(now), record) for record in records] for records in sensors]
            found += min(weighed, key=lambda items: (math.prod(1.0 - weight for weight, _ in items), _name(items)))
        return found

    def renew(self, evidence: Evidence, now: int) -> Record:
        """Take evidence in and return its record, `counted` not yet set."""
        key = (evidence.reason, evidence.source)
        old = self.records.get(key)
        held = old.raw_at(now) if old else 0.0
        added = min(evidence.ceiling, 1.0 - (1.0 - held) * (1.0 - evidence.weight))
        weight = min(max(held, evidence.weight, added), 1.0)
        renewed = old is None or evidence.weight >= held or evidence.ceiling > evidence.weight
        half_life_s = max(evidence.half_life_s, old.half_life_s if old and not renewed else 0.0)
        told = evidence if renewed or old is None else old.evidence
        record = Record(weight, now, half_life_s, told, (old.count if old else 0) + evidence.count, weight)
        self.records[key] = record
        if len(self.records) > MAX_RECORDS:
            del self.records[min(self.records, key=lambda name: (self.records[name].raw_at(now), name))]
        self.regroup()
        return record

    def regroup(self) -> None:
        """Sort the records by behaviour and sensor again."""
        found: dict[str, dict[str, list[Record]]] = {}
        for (_, sensor), record in self.records.items():
            found.setdefault(record.evidence.detector, {}).setdefault(sensor, []).append(record)
        self.groups = tuple(tuple(map(tuple, sensors.values())) for sensors in found.values())


def _name(items: Iterable[tuple[float, Record]]) -> str:
    return next((record.evidence.source for _, record in items), "")


def reached(risk: float) -> Level:
    """Return the level of a risk alone."""
    rounded = round(risk, 4)
    return next(level for level, cut in CUTS if rounded >= cut)


def remembered(level: Level, risk: float) -> Level:
    """Return a level with hysteresis: from the one at the newest evidence down as far as the risk has fallen."""
    return min(level, reached(risk + MARGIN), key=rank)


def rank(level: Level) -> int:
    """Return the place of a level in rising order."""
    return _RANKS[level]


_RANKS = {level: len(CUTS) - place for place, (level, _) in enumerate(CUTS)}
