"""What of an entity's risk can be handed to somebody else, so that they read it at any later instant.

Guarantees: for any later instant `assessed` gives the risk, level, confidence and reasons that the ledger gives, as
long as nothing new is known of the entity, and without texts, which stay where evidence is kept. Two cases are only
close: where several sensors told of one behaviour, the one that counts most when the standing was made goes on to
count; what comes from others decays as their strongest reason does. Imports nothing heavy.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from risk.account import LEAST, rank, reached, remembered
from risk.values import Assessment, Level
from sensors.entities import Entity


@dataclass(frozen=True, slots=True)
class Part:
    """One reason."""

    reason: str
    weight: float
    """0..1, at the standing's instant."""
    half_life_s: float
    """0: it doesn't decay."""
    support: float
    """What it adds to the confidence."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An entity's risk with all that is needed to let it decay."""

    ts: int
    """Instant of the weights, ns of event time."""
    entity: Entity
    level: Level
    """At the newest evidence."""
    age_s: float
    """Seconds, at `ts`, since the newest evidence."""
    parts: tuple[Part, ...]
    """Strongest first; empty where nothing speaks against the entity."""


def assessed(standing: Standing, at: int, model_revision: str) -> Assessment:
    """Return the assessment at an instant (ns); one before the standing's counts as that."""
    elapsed_s = max(at - standing.ts, 0) / 1e9
    left = []
    for part in standing.parts:
        weight = part.weight * math.exp2(-elapsed_s / part.half_life_s) if part.half_life_s > 0 else part.weight
        if weight >= LEAST:
            left.append((weight, part))
    left.sort(key=lambda item: (-item[0], item[1].reason))
    risk = round((1.0 - math.prod((1.0 - weight for weight, _ in left), start=1.0)) * 10_000) / 10_000
    level = max(reached(risk), remembered(standing.level, risk), key=rank)
    return Assessment(
        at, standing.entity, risk, level, confidence(part.support for _, part in left), standing.age_s + elapsed_s,
        left[0][1].half_life_s if left else 0.0, tuple(part.reason for _, part in left), (), {}, model_revision,
    )  # fmt: skip


def support(count: int) -> float:
    """Return what a reason that rests on so many observations adds to the confidence."""
    return 1.0 + 0.25 * math.log2(max(count, 1))


def confidence(supports: Iterable[float]) -> float:
    """Return 0..1, rising with the number of reasons and, slower, of observations."""
    return round(1.0 - 0.5 ** sum(supports), 4)
