"""What a report is made of: plain values that the composition fills in.

Every text may come from hostile input: it is escaped where it is shown, never here. Nothing here may hold a plain
personal identifier: whoever fills the values in puts pseudonyms where addresses and names would stand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceRow:
    """An input and what became of it; the counts are those of `sensors.values.Counters`."""

    name: str
    format: str
    read: int
    parsed: int
    rows: int
    malformed: int = 0
    ignored: int = 0
    dropped: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class EntityRow:
    """An entity and why it carries its risk."""

    pseudonym: str
    risk: float
    """0..1."""
    level: str
    """low, guarded, elevated, high or critical (`risk.values.Level`)."""
    reasons: tuple[str, ...]
    """In words, strongest first."""
    contributions: Mapping[str, float] = field(default_factory=dict)
    """Reason code -> its share of the risk; they add up to `risk`."""
    verdict: str = ""
    """The severest verdict about it; "" where none was asked for."""


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """How often the policy gave a verdict, about how many entities, and for which reasons (text -> times)."""

    verdict: str
    decisions: int
    entities: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimeBin:
    """Decisions in one stretch of event time, by verdict."""

    start_ns: int
    verdicts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An action that was taken, or would have been."""

    ts: int
    """Event time, ns."""
    actuator: str
    target: str
    """Pseudonym."""
    state: str
    """proposed, refused, active, expired, undone or failed (`response.values.ActionState`)."""
    reason: str
    impact: str = ""
    lease_s: float = 0.0
    """Seconds after which it ends by itself."""


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """The audit log as it stood when the report was made."""

    origin: str
    size: int
    """Entries under the checkpoint."""
    root: str
    """Root hash, hexadecimal."""
    checkpoint: str
    """The signed note, whole, as it lies on the disk."""
    vkey: str
    """The key that verifies it (C2SP signed-note)."""
    verified: bool
    problems: tuple[str, ...] = ()
    """What the verification found, in words; empty where it found nothing."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report says. `render_html` adds nothing of its own but explanations."""

    title: str
    period: tuple[int, int]
    """First and last event time, ns since the epoch (UTC); (0, 0) where nothing was seen."""
    made_ns: int
    """When the report was made, ns since the epoch (UTC), as the caller's clock has it."""
    mode: str
    """observe or enforce (`response.values.Mode`)."""
    sources: tuple[SourceRow, ...]
    entities: tuple[EntityRow, ...]
    """The riskiest first, as many as are to be shown."""
    entities_seen: int
    """All entities with an assessment, those not shown included."""
    verdicts: tuple[VerdictRow, ...]
    actions: tuple[ActionRow, ...]
    """In time order, as many as are to be shown."""
    actions_all: int
    audit: AuditFacts | None
    """None: this run kept no log, and the report says so."""
    policy_engine: str
    policy_revision: str
    model_revision: str
    settings_digest: str
    version: str
    """Version of the software."""
    purpose: str
    legal_basis: str
    limits: tuple[str, ...]
    """What this report does not show and what the engine cannot see, in plain words; at least one."""
    timeline: tuple[TimeBin, ...] = ()
    """Decisions over event time in equal stretches; empty: no such chart."""
