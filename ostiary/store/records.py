"""What the store keeps: runs, entities, decisions, actions.

Guarantees by construction: whoever is meant is named by a pseudonym; texts have been pseudonymised and masked by the
caller before a record is made. Nothing here can tell a plain address from a pseudonym, so nothing here checks it.
Verdicts, levels and states are the plain strings of `policy.values`, `risk.values` and `response.values`: a process
that only reads the store imports neither of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One judgement of files (`run`) or one life of the service (`service`)."""

    id: str
    started_ns: int
    """Wall clock, ns since the epoch."""
    kind: Literal["run", "service"]
    sources: tuple[Mapping[str, Any], ...] = ()
    """One a source: its name, format and counters (JSON values, hence Any)."""
    settings_digest: str = ""
    policy_revision: str = ""
    model_revision: str = ""
    finished_ns: int = 0
    """Wall clock; 0 while it goes on, and for ever where it was killed."""


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """How far a source had been judged."""

    name: str
    entry: str
    """The line of the settings that led to the source: a path, a pattern, an address."""
    place: Mapping[str, Any]
    """Where reading goes on, as its sensor understands it (JSON values, hence Any); nothing of what was read."""
    counters: Mapping[str, int]
    """What had been counted up to there, since the source was first read."""
    updated_ns: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sources of a run have come."""

    run_id: str
    sources: tuple[Mapping[str, Any], ...]
    """One a source, as in `RunRecord`."""
    positions: tuple[PositionRecord, ...]


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """The newest assessment of one entity in one run, and the newest verdict on it."""

    run_id: str
    pseudonym: str
    kind: str
    ts: int
    """Event time of the assessment, ns."""
    risk: float
    """0..1 at `ts`."""
    level: str
    confidence: float
    half_life_s: float
    reasons: tuple[str, ...] = ()
    """Reason codes, strongest first."""
    texts: tuple[str, ...] = ()
    """Their words in the same order, pseudonymised and masked."""
    contributions: Mapping[str, float] = field(default_factory=dict)
    """Reason code -> share of the risk."""
    verdict: str = "allow"
    nearest: tuple[tuple[str, float, float, float], ...] = ()
    """(feature, value here, lowest and highest among its nearest normal neighbours), the farthest off first."""


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """What somebody said of an entity, or of single reasons against it."""

    id: str
    ts: int
    """Event time, ns, of what was labelled."""
    said_ns: int
    """Wall clock, ns."""
    pseudonym: str
    malicious: bool
    whole: bool
    """Whether the entity is meant, or only the reasons in `cases`."""
    cases: tuple[tuple[str, float, tuple[tuple[str, float, float], ...]], ...]
    """(reason, weight, facts) of the evidence, as `risk.labels.Case` has them; no names."""
    note: str = ""
    """Masked."""
    actor: str = ""
    """The token's name, or the local user."""
    origin: str = "label"
    """label, or undo where undoing an action said it."""
    withdrawn_ns: int = 0
    """Wall clock, ns; 0 while it is in force."""
    withdrawn_by: str = ""


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision of the policy and the evidence that led to it."""

    id: str
    run_id: str
    ts: int
    """Event time, ns."""
    pseudonym: str
    verdict: str
    reasons: tuple[tuple[str, str], ...]
    """(code, text), as the policy gave them."""
    obligations: Mapping[str, Any]
    """JSON values, hence Any."""
    ttl_s: float
    policy_revision: str
    model_revision: str
    input_digest: str
    """Commitment (hex) to the record with the plain subject; keyed, since a bare digest of an address is guessable."""
    document: Mapping[str, Any]
    """The input document with the subject pseudonymised (JSON values, hence Any)."""
    reason: str = ""
    """Reason code of the evidence that led to it, e.g. `scan.vertical`."""
    text: str = ""
    """The evidence in words, pseudonymised and masked."""
    technique: str = ""
    """MITRE ATT&CK technique id."""
    source: str = ""
    seq: int = 0
    """Packet or line number in `source`."""
    innocent: str = ""
    """The case that would have made the evidence innocent."""
    facts: tuple[tuple[str, float, float], ...] = ()
    """(name, value, the most that is usual) of what the evidence rests on."""


@dataclass(frozen=True, slots=True)
class DeepLookRecord:
    """What a deep look into an entity's latest packets found."""

    run_id: str
    ts: int
    """Event time, ns, of the decision that led to it."""
    pseudonym: str
    decision_id: str
    facts: tuple[str, ...]
    """In words, masked."""
    problem: str = ""
    """Why nothing was found; "" where it could be looked at."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One action of the response layer (`response.values.Action`), its target named by a pseudonym."""

    id: str
    run_id: str
    decision_id: str
    actuator: str
    pseudonym: str
    ts: int
    """Event time of the decision, ns."""
    lease_s: float
    state: str
    reason: str
    impact: str
    undo: str


@dataclass(frozen=True, slots=True)
class ArchivedDecision:
    """A decision as the file holds it, with its place in the order of recording: read by the thousand, undecoded."""

    number: int
    id: str
    run_id: str
    ts: int
    pseudonym: str
    verdict: str
    reasons: str
    """JSON of (code, text) pairs."""
    obligations: str
    """JSON."""
    ttl_s: float
    policy_revision: str
    model_revision: str
    commitment: str
    document: str
    """JSON of the input document, with pseudonyms."""
    sealed: bytes
    reason: str
    technique: str


@dataclass(frozen=True, slots=True)
class PastDecision:
    """What it takes to decide again, as the file holds it: read by the million, so nothing is decoded."""

    number: int
    """Place in the order of recording."""
    id: str
    ts: int
    """Event time, ns."""
    pseudonym: str
    verdict: str
    document: str
    """JSON of the pseudonymised input document."""
    sealed: bytes
    """Its personal fields, encrypted; empty where an earlier version recorded it."""


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """A decision of which a second policy, beside the active one, said something else, or on which it failed."""

    run_id: str
    decision_id: str
    ts: int
    """Event time, ns."""
    pseudonym: str
    route: str
    """Kind and name of the resource."""
    verdict: str
    shadow_verdict: str
    """"" where it failed."""
    shadow_reason: str
    """The first reason's code, or the error's."""
    shadow_revision: str


@dataclass(frozen=True, slots=True)
class ShadowGroup:
    """How often a shadow differed in the same way on the same route, and on how many entities."""

    route: str
    verdict: str
    shadow_verdict: str
    decisions: int
    entities: int


@dataclass(frozen=True, slots=True)
class VerdictTotal:
    """How often a run gave a verdict for a first reason, and on how many entities."""

    verdict: str
    reason: str
    """Its text; "" where the policy gave none."""
    decisions: int
    entities: int


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some answers, and the cursor that the next ones follow."""

    items: tuple[Item, ...]
    next: str = ""
    """Give it as `after` to go on; "" at the end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Rows kept of each kind; beyond it the oldest are pruned and counted."""

    runs: int = 100
    entities: int = 1_000_000
    decisions: int = 1_000_000
    actions: int = 100_000
    shadow_differences: int = 100_000
    labels: int = 100_000
    positions: int = 10_000
    deep_looks: int = 10_000
