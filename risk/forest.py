"""A forest that learns from more than a hundred labels: river's adaptive random forest (Gomes et al. 2017).

It is grown off the hot path and is used only where it has shown itself better: each label was predicted before it was
learnt, by the forest and by the linear model, and over the later half the forest's log loss must be the lower one.
Growing is a pure function of labels and seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk.labels import Case, Label
from risk.linear import Features, Linear, features, logit, sigmoid

ENOUGH = 100
"""Labels below which the linear model stays alone: with ten labels trees do little better than chance."""
TREES = 10


@dataclass(frozen=True, slots=True)
class Forest:
    """A grown forest, and how it compared."""

    trees: Any
    """river's classifier; Any: it has no types."""
    names: tuple[str, ...]
    loss: float
    """Prequential log loss over the later half of the labels."""
    linear_loss: float

    def predict(self, case: Case) -> float:
        """Return the probability that a case is malicious, 0..1."""
        return _probability(self.trees, _row(self.names, case, features(case)))

    def shift(self, case: Case) -> float:
        """Return by how many logits a case's weight is to move."""
        return logit(self.predict(case)) - logit(case.weight)


def grow(labels: Sequence[Label], seed: int) -> Forest | None:
    """Return the forest that labels (in the order in which they were given) make; None where it isn't better."""
    from river.forest import ARFClassifier  # heavy: only where there are many labels

    if len(labels) < ENOUGH:
        return None
    pairs = [(case, label.malicious) for label in labels for case in label.cases]
    names = tuple(sorted({name for case, _ in pairs for name in features(case)}))
    trees, linear = ARFClassifier(n_models=TREES, seed=seed), Linear()
    losses: list[tuple[float, float]] = []
    for case, malicious in pairs:
        row = _row(names, case, features(case))
        losses.append((_loss(_probability(trees, row), malicious), _loss(linear.predict(case), malicious)))
        trees.learn_one(row, malicious)
        linear = linear.learn(case, malicious)
    late = losses[len(losses) // 2 :]
    forest, other = (sum(column) / len(late) for column in zip(*late, strict=True))
    return Forest(trees, names, forest, other) if forest < other else None


def _row(names: Sequence[str], case: Case, found: Features) -> dict[str, float]:
    return {"weight": sigmoid(logit(case.weight)), **{name: found.get(name, 0.0) for name in names}}


def _probability(trees: Any, row: Mapping[str, float]) -> float:
    told = trees.predict_proba_one(row)
    total = sum(told.values())
    return float(told.get(True, 0.0) / total) if total else 0.5


def _loss(probability: float, malicious: bool) -> float:
    return -math.log(min(max(probability if malicious else 1.0 - probability, 1e-6), 1.0))
