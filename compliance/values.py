"""What the compliance layer hands on: audit entries, and what a verification of the log found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""JSON as RFC 8785 can write it: numbers within ±(2^53 - 1), ASCII keys."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One leaf of the audit log. It carries no personal data: people appear as pseudonyms or commitments."""

    kind: str
    """What sort of thing happened: decision, action, label, activation, reveal, erasure ..."""
    who: str
    """Who did it: a component, or the pseudonym of a person."""
    what: str
    why: str
    ts: int
    """Nanoseconds since the epoch, UTC: event time, or the wall clock as the caller gives it."""
    subject: str = ""
    """Pseudonym or commitment of the person or machine concerned; "" where there is none."""
    purpose: str = ""
    legal_basis: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a log: a stable code, the file or entry where it lies, and words for a reader."""

    code: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found. `size` and `root` are the checkpoint's where its signature holds, else 0 and b""."""

    size: int
    root: bytes
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems
