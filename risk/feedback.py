"""What labels change: over the single entities that they name, and, by a model, over evidence of the same kind.

Guarantees: everything is a pure function of the labels in force (and, above a hundred, of a forest grown from them), so
that withdrawing a label leaves exactly what would have been without it; a step of the model that lets an attack of the
fixed set fall below elevated, or lifts innocent evidence of it to elevated, isn't taken (`held_back` names its label);
the hot path pays a dictionary look-up an evidence where there is no label, and a few multiplications where there are.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from risk.forest import Forest
from risk.labels import Case, Cover, Label
from risk.ledger import Reading
from risk.linear import Linear, features, shifted
from risk.values import Evidence
from sensors.values import Entity

ELEVATED = 0.4
MOST = 5000
"""Labels that the model learns from, the newest."""


@dataclass(frozen=True, slots=True)
class FixedCase:
    """Evidence whose truth is known, against which each step is checked."""

    case: Case
    malicious: bool


@cache
def fixed_set() -> tuple[FixedCase, ...]:
    """Return the evidence of the project's own recorded examples, with its truth."""
    rows = json.loads(files("risk").joinpath("fixed_set.json").read_text("utf-8"))
    return tuple(
        FixedCase(
            Case(row["reason"], row["weight"], tuple((name, value, usual) for name, value, usual in row["facts"])),
            row["malicious"],
        )
        for row in rows
    )


def harmed(model: "Linear | Forest") -> int:
    """Return how many cases of the fixed set a model moves to the wrong side of elevated."""
    return sum(
        (model.predict(fixed.case) >= ELEVATED) != fixed.malicious
        for fixed in fixed_set()
        if (fixed.case.weight >= ELEVATED) == fixed.malicious
    )


class Feedback:
    """The overlay that the ledger reads through (`risk.ledger.Overlay`)."""

    def __init__(self, labels: Iterable[Label] = (), forest: Forest | None = None) -> None:
        self.labels: tuple[Label, ...] = tuple(labels)
        self._cover = Cover(self.labels)
        self.linear, self.held_back = _learnt(self.labels[-MOST:])
        self.forest = forest if forest is not None and not harmed(forest) else None
        self.revision = _revision(self.labels, self.forest) if self.labels else ""

    def counted(self, evidence: Evidence, weight: float) -> float:
        """Return what evidence of a weight counts, 0..1."""
        if not self.labels:
            return weight
        if self._cover.pardoned(evidence.entity, evidence.reason, evidence.ts):
            return 0.0
        return self.predict(Case.of(evidence, weight))

    def predict(self, case: Case) -> float:
        """Return what a case would count on an entity without labels of its own."""
        shift = self.linear.shift(features(case)) if self.forest is None else self.forest.shift(case)
        return shifted(case.weight, shift)

    def held(self, entity: Entity, at: int) -> Reading | None:
        """Return what labels by themselves hold against an entity."""
        return self._cover.held(entity, at)

    def accused(self) -> Mapping[Entity, int]:
        """Return the entities that are held malicious, and since when."""
        return self._cover.accused()


def _learnt(labels: Sequence[Label]) -> tuple[Linear, tuple[str, ...]]:
    """Learn label by label in the order in which they were given, leaving out what would harm the fixed set."""
    model, held_back = Linear(), []
    for label in labels:
        candidate = model.learn_all(label.cases, label.malicious)
        if harmed(candidate):
            held_back.append(label.id)
        else:
            model = candidate
    return model, tuple(held_back)


def _revision(labels: Sequence[Label], forest: Forest | None) -> str:
    parts = [repr((each.id, each.ts, each.malicious, each.whole, each.cases)) for each in labels]
    parts.append(repr((forest.names, forest.loss)) if forest else "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def ask(candidates: Mapping[str, Sequence[Case]], feedback: Feedback, number: int) -> list[tuple[str, float]]:
    """Return the candidates whose label would change most, and by how much risk in all, the largest first.

    Expected model output change (Käding, Freytag, Rodner, Bodesheim, Denzler 2015): the change that either answer would
    make to the risk of all candidates, weighed by how likely that answer is.
    """
    merged = {name: tuple(cases) for name, cases in candidates.items() if cases}
    before = {name: _risk(feedback.linear, cases) for name, cases in merged.items()}
    worth = []
    for name, cases in merged.items():
        likely = before[name]
        changed = 0.0
        for malicious, chance in ((True, likely), (False, 1.0 - likely)):
            model = feedback.linear.learn_all(cases, malicious)
            others = sum(abs(_risk(model, other) - before[key]) for key, other in merged.items() if key != name)
            own = (1.0 - before[name]) if malicious else before[name]
            changed += chance * (others + own)
        worth.append((name, round(changed, 4)))
    return sorted(worth, key=lambda item: (-item[1], item[0]))[:number]


def _risk(model: Linear, cases: Iterable[Case]) -> float:
    left = 1.0
    for case in cases:
        left *= 1.0 - model.predict(case)
    return 1.0 - left
