"""What people say of evidence: labels, and what they cover.

A benign label says that an entity may do what it did: the named reasons count nothing against it from `KEEP_S` before
the label to `KEEP_S` after it, however strong they grow; any other reason counts in full. A malicious label holds the
entity itself at `ACCUSED` from then on, halving in a week. The newest label on a subject overrules older ones.

Guarantees: everything here is a pure function of the labels in force, so that a label that is withdrawn leaves nothing
behind. Labels never change what the models of normal traffic learn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from risk.ledger import Reading
from risk.values import Contribution, Evidence, Words
from sensors.values import Entity

KEEP_S = 30 * 86_400
ACCUSED = 0.9
ACCUSED_HALF_LIFE_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Case:
    """One reason as a label saw it; it names nobody."""

    reason: str
    weight: float
    """0..1: the risk that it alone gave."""
    facts: tuple[tuple[str, float, float], ...] = ()
    """(name, value, the most that is usual)."""

    @classmethod
    def of(cls, evidence: Evidence, weight: float) -> "Case":
        """Return evidence as a case."""
        return cls(evidence.reason, weight, _facts(evidence.contributions))


def _facts(contributions: Iterable[Contribution]) -> tuple[tuple[str, float, float], ...]:
    return tuple((fact.name, fact.value, fact.usual_high) for fact in contributions)


@dataclass(frozen=True, slots=True)
class Label:
    """Somebody's word on an entity (all that speaks against it), or on single reasons."""

    id: str
    ts: int
    """Event time, ns, at which it was said."""
    entity: Entity | None
    """None where the subject was erased: it still teaches, and covers nobody."""
    malicious: bool
    cases: tuple[Case, ...]
    whole: bool = True
    """Whether the entity is meant, or only the evidence in `cases`."""

    @property
    def reasons(self) -> frozenset[str]:
        """The reasons that it speaks of."""
        return frozenset(case.reason for case in self.cases)


class Cover:
    """What the labels in force say of single entities."""

    def __init__(self, labels: Sequence[Label]) -> None:
        self._pardons: dict[tuple[Entity, str], int] = {}
        self._accused: dict[Entity, int] = {}
        for label in sorted(labels, key=lambda each: (each.ts, each.id)):
            if label.entity is not None:
                self._take(label, label.entity)

    def pardoned(self, entity: Entity, reason: str, ts: int) -> bool:
        """Return whether evidence of a reason at an instant (ns) counts nothing against an entity."""
        at = self._pardons.get((entity, reason))
        return at is not None and abs(ts - at) <= KEEP_S * 1_000_000_000

    def held(self, entity: Entity, at: int) -> Reading | None:
        """Return what a malicious label holds against an entity at an instant (ns)."""
        since = self._accused.get(entity)
        if since is None:
            return None
        weight = ACCUSED * 2.0 ** (-max(at - since, 0) / 1e9 / ACCUSED_HALF_LIFE_S)
        words = Words((entity, " was labelled malicious"))
        return Reading("label.malicious", weight, words, ACCUSED_HALF_LIFE_S, 1, None)

    def accused(self) -> Mapping[Entity, int]:
        """Return the entities that are held malicious, and since when."""
        return self._accused

    def _take(self, label: Label, entity: Entity) -> None:
        for reason in label.reasons:
            if label.malicious:
                self._pardons.pop((entity, reason), None)
            else:
                self._pardons[entity, reason] = label.ts
        if label.whole and label.malicious:
            self._accused[entity] = label.ts
        elif label.whole:
            self._accused.pop(entity, None)
