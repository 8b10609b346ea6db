"""What the API shows and takes: bodies and queries, from which the OpenAPI description is made."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self  # Any: JSON values

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ostiary.store import MAX_PAGE, ActionRecord, DecisionRecord, EntityRecord, LabelRecord
from policy.values import Verdict
from response.values import ActionState
from risk.counterfactual import Counterfactual

Name = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
"""A pseudonym or an id: printable ASCII."""
Purpose = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]{3,200}$")]


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """A decision without the document that it was made on."""

    id: str
    run_id: str
    ts: int
    pseudonym: str
    verdict: str
    reasons: tuple[tuple[str, str], ...]
    obligations: dict[str, Any]
    ttl_s: float
    reason: str
    text: str
    technique: str
    source: str
    seq: int

    @classmethod
    def of(cls, decision: DecisionRecord) -> Self:
        """Make the summary of a decision."""
        return cls(
            decision.id, decision.run_id, decision.ts, decision.pseudonym, decision.verdict, decision.reasons,
            dict(decision.obligations), decision.ttl_s, decision.reason, decision.text, decision.technique,
            decision.source, decision.seq,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class EntityPage:
    """Entities, riskiest first; give `next` as `after` to go on."""

    items: tuple[EntityRecord, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Decisions, newest first; give `next` as `after` to go on."""

    items: tuple[DecisionSummary, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class ActionPage:
    """Actions, newest first; give `next` as `after` to go on."""

    items: tuple[ActionRecord, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class LabelPage:
    """All labels, the oldest first; those with `withdrawn_ns` are no longer in force."""

    items: tuple[LabelRecord, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a risk, its words, and its share of the risk."""

    reason: str
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an entity is as risky as it is, strongest cause first, and what was decided on it lately."""

    entity: EntityRecord
    causes: tuple[Cause, ...]
    decisions: tuple[DecisionSummary, ...] = field(default=())
    counterfactual: Counterfactual | None = None
    """The smallest change that would have kept the risk low."""


def causes(entity: EntityRecord) -> tuple[Cause, ...]:
    """Return the causes of an entity's risk, the strongest first."""
    texts = dict(zip(entity.reasons, entity.texts, strict=False))
    found = (Cause(code, entity.contributions.get(code, 0.0), texts.get(code, "")) for code in entity.reasons)
    return tuple(sorted(found, key=lambda cause: -cause.share))


@dataclass(frozen=True, slots=True)
class Revealed:
    """The plain identifier behind a pseudonym."""

    pseudonym: str
    entity: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read, and what became of it, in the newest run; texts of lines are masked."""

    run_id: str
    kind: str
    items: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many lines were taken, durably."""

    lines: int


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Paged(_Strict):
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    after: Annotated[str, Field(max_length=400)] = ""
    """`next` of the page before."""
    run: Name | None = None
    """Only of this run."""


class EntityQuery(_Paged):
    """What to list of the entities; without `run`, those of the latest one."""

    min_risk: Annotated[float, Field(ge=0, le=1)] = 0.0


class DecisionQuery(_Paged):
    """What to list of the decisions."""

    entity: Name | None = None
    """Only on this pseudonym."""
    verdict: Verdict | None = None


class ActionQuery(_Paged):
    """What to list of the actions."""

    state: ActionState | None = None


class LabelOrder(_Strict):
    """What is said of an entity (a pseudonym), of a decision (its id), or of one evidence (either with `#REASON`)."""

    subject: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")]
    verdict: Literal["malicious", "benign"]
    note: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]{0,200}$")] = ""
    """Why; personal data in it is masked."""


class NoQuery(_Strict):
    """No parameters are understood."""


class ReadingOrder(_Strict):
    """Names that a command on this machine is about to read, and why; it is written into the audit log."""

    what: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    about: Annotated[str, StringConstraints(max_length=200)] = ""
    purpose: Purpose
    subjects: list[Annotated[str, StringConstraints(max_length=128)]] = Field(default_factory=list, max_length=1_000)
    """Pseudonyms; none where it is everybody, or not known before."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What was written into the audit log."""

    subjects: int
    """How many of them are known."""


class RevealOrder(_Strict):
    """Why a person's identifier has to be seen; it is written into the audit log."""

    purpose: Purpose
