"""What the risk core hands on: evidence, assessments, findings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sensors.entities import Entity


class Level(StrEnum):
    """What an assessment says of an entity, in rising order."""

    LOW = "low"
    GUARDED = "guarded"
    ELEVATED = "elevated"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence in which entities keep their places, so that each reader is shown names or pseudonyms as due.

    Pieces of text that come from hostile input (paths, user agents) are ordinary `str` pieces: nothing is interpolated.
    """

    pieces: tuple[str | Entity, ...]

    def say(self, name: Callable[[Entity], str] = str) -> str:
        """Return the sentence, each entity named by `name`."""
        return "".join(piece if isinstance(piece, str) else name(piece) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Contribution:
    """One named fact behind a piece of evidence or a risk."""

    name: str
    value: float
    usual_low: float
    usual_high: float
    share: float
    """0..1; the shares of one evidence or assessment add up to 1."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason to trust an entity less."""

    ts: int
    """Event time, ns."""
    entity: Entity
    detector: str
    """The behaviour or model that found it; the name of its file in `risk/evidence/` or `risk/detectors/`."""
    reason: str
    """Stable code, e.g. `scan.vertical`."""
    technique: str
    """MITRE ATT&CK technique id, e.g. `T1046`; "" where none fits."""
    p_value: float
    """How often normal traffic would look like this, 0..1."""
    weight: float
    """Risk that this evidence alone would give, 0..1."""
    half_life_s: float
    text: Words
    """The facts in words."""
    innocent: str
    """The case that would have made it innocent."""
    contributions: tuple[Contribution, ...]
    source: str
    seq: int
    """Packet or line number of the observation that completed it."""
    count: int = 1
    """Observations that it rests on."""
    ceiling: float = 0.0
    """Repetitions of this reason add up to at most this risk; at or below `weight` they only renew it."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The risk of one entity at one instant. Risk decays in event time without anybody running a job."""

    ts: int
    entity: Entity
    risk: float
    """0..1, rounded to 1e-4."""
    level: Level
    confidence: float
    """0..1: how much the assessment rests on (number and independence of the evidence)."""
    age_s: float
    """Seconds of event time since the newest evidence."""
    half_life_s: float
    """Of the strongest evidence."""
    reasons: tuple[str, ...]
    """Reason codes, strongest first."""
    texts: tuple[Words, ...]
    """Their words, in the same order."""
    contributions: Mapping[str, float]
    """Reason code -> share of the risk; the values add up to `risk`."""
    model_revision: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A piece of evidence and the assessment of its entity just after it."""

    evidence: Evidence
    assessment: Assessment
