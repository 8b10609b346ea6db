"""The smallest change that would have kept a risk low.

Reasons multiply (`risk.account`), so the logarithms of what each leaves, -ln(1 - w), add up: leaving out the largest
first needs the fewest. A reason counts as left out when its behaviour had stayed within what is usual, thus whichever
sensor would have told it. For each the fact that weighs most is named, with the most that is usual for it.

Guarantees: without the named reasons the risk lies below the target; no smaller number of reasons does it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOW = 0.2
"""The risk below which the level is low."""

Fact = tuple[str, float, float]
"""(name, value, the most that is usual)."""


@dataclass(frozen=True, slots=True)
class Change:
    """A reason that would have to be missing, and what about it was out of the usual."""

    reason: str
    weight: float
    """0..1: what it gives alone."""
    fact: str = ""
    value: float = 0.0
    usual: float = 0.0
    """The most that is usual; with no more than this the reason would not have been told."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The changes, and what would be left of the risk."""

    changes: tuple[Change, ...]
    risk: float


def smallest(weights: Mapping[str, float], facts: Mapping[str, Sequence[Fact]], target: float = LOW) -> Counterfactual:
    """Return the fewest reasons without which the risk lies below `target`; `weights` is what each gives alone."""
    allowed = -math.log(1.0 - target)
    pulls = {reason: -math.log(max(1.0 - weight, 1e-12)) for reason, weight in weights.items()}
    left = sum(pulls.values())
    changes: list[Change] = []
    for reason in sorted(pulls, key=lambda name: (-pulls[name], name)):
        if left < allowed:
            break
        left -= pulls[reason]
        changes.append(_change(reason, weights[reason], facts.get(reason, ())))
    return Counterfactual(tuple(changes), round(1.0 - math.exp(-max(left, 0.0)), 4))


def weights_of(risk: float, contributions: Mapping[str, float]) -> dict[str, float]:
    """Return what each reason gives alone, from its share of the risk: the shares are those of -ln(1 - w)."""
    pull = -math.log(min(max(1.0 - risk, 1e-6), 1.0))
    parts = {reason: min(max(share / risk, 0.0), 1.0) if risk > 0 else 0.0 for reason, share in contributions.items()}
    return {reason: 1.0 - math.exp(-pull * part) for reason, part in parts.items()}


def _change(reason: str, weight: float, facts: Sequence[Fact]) -> Change:
    if not facts:
        return Change(reason, round(weight, 4))
    name, value, usual = max(facts, key=lambda fact: (max(fact[1], 0.0) / max(fact[2], 1e-9), fact[0]))
    return Change(reason, round(weight, 4), name, value, usual)
