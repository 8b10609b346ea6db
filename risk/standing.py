"""What of an entity's risk can be handed to somebody else, so that they read it at any later instant.

Guarantees: `assessed` gives, for any instant, the risk that the ledger gives for it as long as nothing new is known of
the entity; without texts, which stay where evidence is kept. Imports nothing heavy.
"""

from dataclasses import dataclass

from risk.values import Assessment, Level
from sensors.entities import Entity

LEVELS = (
    (Level.CRITICAL, 0.9),
    (Level.HIGH, 0.7),
    (Level.ELEVATED, 0.4),
    (Level.GUARDED, 0.2),
    (Level.LOW, 0.0),
)
MARGIN = 0.05
"""A level is left only when the risk has fallen this far below where it began."""
LEAST = 5e-5
"""Weights below this round to nothing."""


@dataclass(frozen=True, slots=True)
class Part:
    """One reason: what it weighs (0..1) at the standing's instant, and how fast that halves."""

    reason: str
    weight: float
    half_life_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """An entity's risk with all that is needed to let it decay."""

    ts: int
    """Instant of the weights, ns of event time."""
    entity: Entity
    level: Level
    confidence: float
    age_s: float
    """Seconds, at `ts`, since the newest evidence."""
    parts: tuple[Part, ...]
    """Strongest first; empty where nothing speaks against the entity."""
    model_revision: str


def assessed(standing: Standing, at: int) -> Assessment:
    """Return the assessment at an instant (ns); one before the standing's counts as that."""
    now = max(at, standing.ts)
    elapsed_s = (now - standing.ts) / 1e9
    left, reasons = 1.0, []
    for part in standing.parts:
        weight = part.weight * 2.0 ** (-elapsed_s / part.half_life_s) if part.half_life_s > 0 else part.weight
        if weight >= LEAST:
            left *= 1.0 - weight
            reasons.append((weight, part))
    risk = round((1.0 - left) * 10_000) / 10_000
    reasons.sort(key=lambda item: (-item[0], item[1].reason))
    return Assessment(
        at, standing.entity, risk, _level(standing.level, risk), standing.confidence, standing.age_s + elapsed_s,
        reasons[0][1].half_life_s if reasons else 0.0, tuple(part.reason for _, part in reasons), (), {},
        standing.model_revision,
    )  # fmt: skip


def _level(held: Level, risk: float) -> Level:
    """Return the level with hysteresis: the one held, until the risk has fallen well below where it began."""
    for level, cut in LEVELS:
        if level is held or risk >= cut:
            return level if risk + MARGIN >= cut else _level_of(risk + MARGIN)
    return Level.LOW


def _level_of(risk: float) -> Level:
    return next(level for level, cut in LEVELS if risk >= cut)
