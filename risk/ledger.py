"""The ledger: what each entity's evidence adds up to, at any instant.

Guarantees: a risk lies in 0..1, never falls when evidence is added, and falls by half-lives of event time when none is;
reading changes nothing and costs the same however much was seen; the contributions of an assessment add up to its risk;
entities and records are capped, and what is forgotten is counted, the least risky first. What the operator's labels
change lies over the records and never in them: without its labels the ledger says what it would have said.

What is held against one entity stands in `risk.account`; what it has from others comes by `risk.relations`: the largest
of what passes along a path, as one more reason.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from risk.account import LEAST, Account, rank, reached, remembered
from risk.relations import Path, Relation, Relations
from risk.standing import Part, Standing, confidence, support
from risk.values import Assessment, Evidence, Words
from sensors.values import Entity

MODELS = "anomaly."
TENTHS = 10_000
TOLD = {Relation.USES: "used together with ", Relation.HAS: "the same card as ", Relation.BEHIND: "one network with "}


@dataclass(frozen=True, slots=True)
class Reading:
    """One reason that counts at an instant."""

    reason: str
    weight: float
    words: Words
    half_life_s: float
    count: int
    evidence: Evidence | None
    """What it rests on; None for a label, and for what comes from others."""


class Overlay(Protocol):
    """What labels make of evidence."""

    def counted(self, evidence: Evidence, weight: float) -> float:
        """Return what a weight counts, 0..1."""
        ...

    def held(self, entity: Entity, at: int) -> Reading | None:
        """Return what labels by themselves hold against an entity."""
        ...

    def accused(self) -> Iterable[Entity]:
        """Return the entities that `held` may speak of."""
        ...


class NoLabels:
    """Nobody has labelled anything."""

    def counted(self, evidence: Evidence, weight: float) -> float:
        """Return the weight."""
        return weight

    def held(self, entity: Entity, at: int) -> Reading | None:
        """Return None."""
        return None

    def accused(self) -> Iterable[Entity]:
        """Return nobody."""
        return ()


class Ledger:
    """The accounts of all entities that evidence speaks against."""

    UNSAVED = ("_overlay", "revision", "touched")
    """Kept out of a saved state: labels are heard again, and nobody has been told anything."""

    def __init__(self, capacity: int, revision: str, relations: Relations | None = None) -> None:
        self._capacity = capacity
        self.revision = revision
        self.relations = Relations(capacity) if relations is None else relations
        self._accounts: dict[Entity, Account] = {}
        self._overlay: Overlay = NoLabels()
        self._epoch = 0
        self.evicted = 0
        self.touched: set[Entity] | None = None
        """Entities whose account changed or was given up, where somebody wants to know."""

    def __len__(self) -> int:
        return len(self._accounts)

    def overlay(self, labels: Overlay) -> None:
        """Hear other labels from now on."""
        self._overlay = labels
        self._epoch += 1

    def add(self, evidence: Evidence) -> Assessment:
        """Count evidence against its entity and return the assessment just after it."""
        account = self._accounts.get(evidence.entity)
        if account is None:
            self._make_room(evidence.ts)
            account = self._accounts[evidence.entity] = Account()
        now = max(account.ts, evidence.ts)
        if self.touched is not None:
            self.touched.add(evidence.entity)
        before = remembered(account.level, account.raw_risk(now))
        record = account.renew(evidence, now)
        record.counted = self._overlay.counted(record.evidence, record.weight)
        account.level = max(before, reached(account.raw_risk(now)), key=rank)
        account.ts = now
        return self.assess(evidence.entity, now)

    def risk(self, entity: Entity, at: int) -> float:
        """Return an entity's risk at an instant (ns), rounded to 1e-4."""
        left = 1.0 - self._own(entity, at)
        held, passed = self._overlay.held(entity, at), self._passed(entity, at)
        for reading in (held, passed):
            if reading is not None:
                left *= 1.0 - reading.weight
        return round((1.0 - left) * TENTHS) / TENTHS

    def assess(self, entity: Entity, at: int) -> Assessment:
        """Return an entity's risk at an instant (ns); an instant before its newest evidence counts as that."""
        account = self._account(entity) or Account()
        now = max(at, account.ts)
        readings = self._readings(account, entity, now)
        left = math.prod((1.0 - reading.weight for reading in readings), start=1.0)
        risk = round((1.0 - left) * TENTHS)
        shares = _shares(risk, [(reading.reason, reading.weight) for reading in readings])
        level = max(reached(risk / TENTHS), remembered(account.level, risk / TENTHS), key=rank)
        age_s = (now - account.ts) / 1e9 if account.records else 0.0
        return Assessment(
            at, entity, risk / TENTHS, level, confidence(support(reading.count) for reading in readings), age_s,
            readings[0].half_life_s if readings else 0.0, tuple(reading.reason for reading in readings),
            tuple(reading.words for reading in readings),
            {reason: share / TENTHS for reason, share in shares.items()}, self.revision,
        )  # fmt: skip

    def standing(self, entity: Entity, at: int) -> Standing:
        """Return what lets others read an entity's risk at `at` (ns) or later, until something new is known."""
        account = self._account(entity) or Account()
        now = max(at, account.ts)
        parts = tuple(
            Part(reading.reason, reading.weight, reading.half_life_s, support(reading.count))
            for reading in self._readings(account, entity, now)
        )
        age_s = (now - account.ts) / 1e9 if account.records else 0.0
        return Standing(now, entity, account.level, age_s, parts)

    def known(self) -> Iterable[Entity]:
        """Return the entities that evidence or a label speaks against."""
        return dict.fromkeys((*self._accounts, *self._overlay.accused()))

    def readings(self, entity: Entity, at: int) -> list[Reading]:
        """Return the reasons that count at an instant, strongest first."""
        account = self._account(entity) or Account()
        return self._readings(account, entity, max(at, account.ts))

    def risky(self, at: int, limit: int) -> list[Assessment]:
        """Return the riskiest entities with evidence or a label against them, riskiest first, ties by entity.

        Those that have all their risk from others are left out: there is no end to them.
        """
        ranked = ((-self.risk(entity, at), entity) for entity in self.known())
        best = heapq.nsmallest(limit, (item for item in ranked if item[0] < 0))
        return [self.assess(entity, at) for _, entity in best]

    def suspects(self, entity: Entity, at: int, above: float) -> bool:
        """Return whether a reason weighs more than a bound by evidence alone, labels and relations left aside.

        What the models themselves think doesn't count: else they would learn only from whom they know.
        """
        account = self._accounts.get(entity)
        return account is not None and any(
            record.raw_at(max(at, account.ts)) > above
            for (reason, _), record in account.records.items()
            if not reason.startswith(MODELS)
        )

    def _own(self, entity: Entity, at: int) -> float:
        account = self._account(entity)
        return account.risk(max(at, account.ts)) if account else 0.0

    def _account(self, entity: Entity) -> Account | None:
        """Return an account after the newest labels were heard."""
        account = self._accounts.get(entity)
        if account is not None and account.epoch != self._epoch:
            for record in account.records.values():
                record.counted = self._overlay.counted(record.evidence, record.weight)
            account.epoch = self._epoch
        return account

    def _readings(self, account: Account, entity: Entity, now: int) -> list[Reading]:
        found = [
            Reading(
                record.evidence.reason, weight, record.evidence.text, record.half_life_s, record.count, record.evidence
            )
            for weight, record in account.counting(now)
        ]
        found += [reading for reading in (self._overlay.held(entity, now), self._passed(entity, now)) if reading]
        return sorted((each for each in found if each.weight >= LEAST), key=lambda each: (-each.weight, each.reason))

    def _passed(self, entity: Entity, at: int) -> Reading | None:
        """Return what an entity has from others: the largest that comes along one path."""
        paths = self.relations.paths(entity, at)
        if not paths:
            return None
        weighed = [(path.factor * self._alone(path.origin, at), path) for path in paths]
        weight, path = max(weighed, key=lambda item: (item[0], item[1].origin))
        return self._reading(path, weight, at) if weight >= LEAST else None

    def _reading(self, path: Path, weight: float, at: int) -> Reading:
        origin = self._account(path.origin)
        records = origin.counting(at) if origin else []
        half_life_s = max(records, key=lambda item: item[0])[1].half_life_s if records else 0.0
        words = Words((TOLD[path.relation], path.origin, f", whose own risk is {weight / path.factor:.2f}"))
        return Reading(f"related.{path.relation.value}", weight, words, half_life_s, 1, None)

    def _alone(self, entity: Entity, at: int) -> float:
        """Return an entity's risk without what it has from others."""
        held = self._overlay.held(entity, at)
        own = self._own(entity, at)
        return own if held is None else 1.0 - (1.0 - own) * (1.0 - held.weight)

    def _items(self) -> Iterator[tuple[Entity, Account]]:
        return iter(self._accounts.items())

    def _make_room(self, now: int) -> None:
        if len(self._accounts) < self._capacity:
            return
        # A sixteenth at once, so that a stream of new entities doesn't rank them all each time.
        ranked = ((account.raw_risk(max(now, account.ts)), entity) for entity, account in self._items())
        for _, entity in heapq.nsmallest(max(self._capacity // 16, 1), ranked):
            del self._accounts[entity]
            self.evicted += 1
            if self.touched is not None:
                self.touched.add(entity)


def _shares(total: int, weights: list[tuple[str, float]]) -> dict[str, int]:
    """Split a risk among reasons by the logarithms that multiply up to it; the remainder goes to the largest."""
    if not weights or total <= 0:
        return {}
    pulls = [-math.log(max(1.0 - weight, 1e-12)) for _, weight in weights]
    shares = [int(total * pull / sum(pulls)) for pull in pulls]
    shares[0] += total - sum(shares)
    return {reason: share for (reason, _), share in zip(weights, shares, strict=True)}
