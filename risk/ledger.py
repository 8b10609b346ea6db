"""The ledger: what each entity's evidence adds up to, at any instant.

Guarantees: a risk lies in 0..1, never falls when evidence is added, and falls by half-lives of event time when none is;
reading changes nothing and costs the same however much was seen; the contributions of an assessment add up to its risk;
entities and records are capped, and what is forgotten is counted, the least risky first.

An entity has one record a reason. The risks of its reasons are taken as independent: risk = 1 - prod(1 - w), each w
halving with its own half-life. Within a reason, evidence renews the record, and adds up only to its `ceiling`.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from risk.values import Assessment, Evidence, Level, Words
from sensors.values import Entity

CUTS = ((Level.CRITICAL, 0.9), (Level.HIGH, 0.7), (Level.ELEVATED, 0.4), (Level.GUARDED, 0.2), (Level.LOW, 0.0))
MARGIN = 0.05
"""A level is left only when the risk has fallen this far below where it began."""
MAX_REASONS = 24
"""Records an entity keeps; the weakest is given up."""
LEAST = 5e-5
"""Weights below this round to nothing."""
TENTHS = 10_000


@dataclass(slots=True)
class _Record:
    weight: float
    ts: int
    half_life_s: float
    words: Words
    count: int

    def at(self, now: int) -> float:
        return self.weight * math.exp2(-max(now - self.ts, 0) / 1e9 / self.half_life_s)


@dataclass(slots=True)
class _Account:
    records: dict[str, _Record] = field(default_factory=dict)
    level: Level = Level.LOW
    """At the newest evidence."""
    ts: int = 0

    def risk(self, now: int) -> float:
        return 1.0 - math.prod(1.0 - record.at(now) for record in self.records.values())


class Ledger:
    """The accounts of all entities that evidence speaks against."""

    def __init__(self, capacity: int, revision: str) -> None:
        self._capacity = capacity
        self._revision = revision
        self._accounts: dict[Entity, _Account] = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._accounts)

    def add(self, evidence: Evidence) -> Assessment:
        """Count evidence against its entity and return the assessment just after it."""
        account = self._accounts.get(evidence.entity)
        if account is None:
            self._make_room(evidence.ts)
            account = self._accounts[evidence.entity] = _Account()
        now = max(account.ts, evidence.ts)
        account.level = _level(account, now)
        _renew(account, evidence, now)
        account.level = max(account.level, _reached(account.risk(now)), key=_rank)
        account.ts = now
        return self.assess(evidence.entity, now)

    def assess(self, entity: Entity, at: int) -> Assessment:
        """Return an entity's risk at an instant (ns); an instant before its newest evidence counts as that."""
        account = self._accounts.get(entity)
        if account is None:
            return Assessment(at, entity, 0.0, Level.LOW, 0.0, 0.0, 0.0, (), (), {}, self._revision)
        now = max(at, account.ts)
        living = [(record.at(now), reason, record) for reason, record in account.records.items()]
        living = sorted((item for item in living if item[0] >= LEAST), key=lambda item: (-item[0], item[1]))
        risk = round(account.risk(now) * TENTHS)
        shares = _shares(risk, [(reason, weight) for weight, reason, _ in living])
        return Assessment(
            at, entity, risk / TENTHS, _level(account, now), _confidence([record for _, _, record in living]),
            (now - account.ts) / 1e9, living[0][2].half_life_s if living else 0.0,
            tuple(reason for _, reason, _ in living), tuple(record.words for _, _, record in living),
            {reason: share / TENTHS for reason, share in shares.items()}, self._revision,
        )  # fmt: skip

    def risky(self, at: int, limit: int) -> list[Assessment]:
        """Return the riskiest entities with a risk above 0, riskiest first, ties by entity."""
        ranked = ((-round(account.risk(max(at, account.ts)) * TENTHS), entity) for entity, account in self._items())
        best = heapq.nsmallest(limit, (item for item in ranked if item[0] < 0))
        return [self.assess(entity, at) for _, entity in best]

    def suspects(self, entity: Entity, at: int, above: float) -> bool:
        """Return whether an entity's risk lies above a bound."""
        account = self._accounts.get(entity)
        return account is not None and account.risk(max(at, account.ts)) > above

    def _items(self) -> Iterator[tuple[Entity, _Account]]:
        return iter(self._accounts.items())

    def _make_room(self, now: int) -> None:
        if len(self._accounts) < self._capacity:
            return
        # A sixteenth at once, so that a stream of new entities doesn't rank them all each time.
        ranked = ((account.risk(max(now, account.ts)), entity) for entity, account in self._items())
        for _, entity in heapq.nsmallest(max(self._capacity // 16, 1), ranked):
            del self._accounts[entity]
            self.evicted += 1


def _renew(account: _Account, evidence: Evidence, now: int) -> None:
    old = account.records.get(evidence.reason)
    held = old.at(now) if old else 0.0
    added = min(evidence.ceiling, 1.0 - (1.0 - held) * (1.0 - evidence.weight))
    weight = min(max(held, evidence.weight, added), 1.0)
    renewed = old is None or evidence.weight >= held or evidence.ceiling > evidence.weight
    account.records[evidence.reason] = _Record(
        weight, now, max(evidence.half_life_s, old.half_life_s if old and not renewed else 0.0),
        evidence.text if renewed or old is None else old.words, (old.count if old else 0) + evidence.count,
    )  # fmt: skip
    if len(account.records) > MAX_REASONS:
        del account.records[min(account.records, key=lambda reason: (account.records[reason].at(now), reason))]


def _reached(risk: float) -> Level:
    return next(level for level, cut in CUTS if round(risk, 4) >= cut)


def _rank(level: Level) -> int:
    return -next(place for place, (name, _) in enumerate(CUTS) if name is level)


def _level(account: _Account, now: int) -> Level:
    """Return the level with hysteresis: from the level at the newest evidence down as far as the risk has fallen."""
    return min(account.level, _reached(account.risk(now) + MARGIN), key=_rank)


def _shares(total: int, weights: list[tuple[str, float]]) -> dict[str, int]:
    """Split a risk among reasons by the logarithms that multiply up to it; the remainder goes to the largest."""
    if not weights or total <= 0:
        return {}
    pulls = [-math.log(max(1.0 - weight, 1e-12)) for _, weight in weights]
    shares = [int(total * pull / sum(pulls)) for pull in pulls]
    shares[0] += total - sum(shares)
    return {reason: share for (reason, _), share in zip(weights, shares, strict=True)}


def _confidence(records: list[_Record]) -> float:
    """Return 0..1, rising with the number of reasons and, slower, of observations."""
    support = sum(1 + 0.25 * math.log2(record.count) for record in records)
    return round(1.0 - 0.5**support, 4)
