"""A linear model of what labels teach about evidence of a kind (logistic regression by stochastic gradient descent).

    logit(p malicious) = logit(weight of the evidence) + w . features

Without labels w is 0 and the weight stands as it is; each label moves w one step. The step equals river's
`LogisticRegression(SGD(RATE), intercept_lr=0)` where the weight is 1/2; a shift is bounded by `LIMIT`, so that no
number of labels on other entities can silence a kind of evidence, nor make a verdict of a hint.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from risk.labels import Case

RATE = 0.15
LIMIT = 2.0
"""Logits: 0.92 falls to 0.61 at most, 0.07 rises to 0.36."""

Features = Mapping[str, float]


def features(case: Case) -> Features:
    """Return what a case has in common with others: its reason, its behaviour, how far its facts lie off. No names."""
    found = {f"reason {case.reason}": 1.0, f"behaviour {case.reason.partition('.')[0]}": 1.0}
    for name, value, usual in case.facts:
        found[f"fact {name}"] = min(math.log2(1.0 + max(value, 0.0) / max(usual, 1e-9)) / 8.0, 1.0)
    return found


def logit(weight: float) -> float:
    """Return the logit of a weight, kept finite."""
    kept = min(max(weight, 1e-6), 1.0 - 1e-6)
    return math.log(kept / (1.0 - kept))


def sigmoid(value: float) -> float:
    """Return 1 / (1 + e^-value)."""
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))


def shifted(weight: float, shift: float) -> float:
    """Return a weight moved by logits, at most `LIMIT`; a shift of 0 leaves it to the last bit."""
    if shift == 0.0 or weight <= 0.0:
        return weight
    return sigmoid(logit(weight) + min(max(shift, -LIMIT), LIMIT))


@dataclass(frozen=True, slots=True)
class Linear:
    """The weights w; a step gives a new model."""

    weights: Mapping[str, float] = field(default_factory=dict)

    def shift(self, found: Features) -> float:
        """Return w . features."""
        return sum(self.weights.get(name, 0.0) * value for name, value in found.items())

    def predict(self, case: Case) -> float:
        """Return the probability that a case is malicious, 0..1."""
        return shifted(case.weight, self.shift(features(case)))

    def learn(self, case: Case, malicious: bool) -> "Linear":
        """Return the model after one step."""
        found = features(case)
        step = RATE * (float(malicious) - sigmoid(logit(case.weight) + self.shift(found)))
        moved = {name: self.weights.get(name, 0.0) + step * value for name, value in found.items()}
        return Linear({**self.weights, **moved})

    def learn_all(self, cases: Iterable[Case], malicious: bool) -> "Linear":
        """Return the model after one step a case."""
        model = self
        for case in cases:
            model = model.learn(case, malicious)
        return model
