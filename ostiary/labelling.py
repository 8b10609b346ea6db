"""From what somebody says to a label in the store, and from the store to what the risk core hears.

A subject is a pseudonym, a decision's id, or either with `#REASON` for one piece of evidence. Guarantees: a label
is in the audit log before it takes effect; who is labelled stands there as a commitment, the note masked; a subject
that was erased teaches on, without a name.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any  # JSON values

from compliance.errors import UnknownSubjectError
from compliance.privacy.text import mask
from compliance.privacy.vault import Vault
from ostiary.state import State
from ostiary.store import DecisionRecord, EntityRecord, LabelRecord, Reader
from risk.counterfactual import weights_of
from risk.feedback import Feedback
from risk.forest import grow
from risk.labels import Case, Label

SHOWN = 1000
"""Decisions that are looked through for the facts of an entity's reasons."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a label is about."""

    pseudonym: str
    ts: int
    """Event time, ns, of what is labelled."""
    cases: tuple[Case, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says."""

    malicious: bool
    note: str
    actor: str
    origin: str = "label"


def find_subject(reader: Reader, text: str) -> Subject | None:
    """Return what a text names; None where no run knows it, or not that reason."""
    name, _, reason = text.partition("#")
    decision = reader.decision(name)
    pseudonym = decision.pseudonym if decision else name
    entity = reader.entity(pseudonym, decision.run_id if decision else None) or reader.entity(pseudonym)
    if entity is None:
        return None
    cases = cases_of(reader, entity)
    if decision is not None:
        named = {decision.reason, *decision.document.get("risk", {}).get("reasons", ())} - {""}
        cases = {code: cases.get(code) or _case_of(decision) for code in sorted(named)}
    if reason:
        cases = {code: case for code, case in cases.items() if code == reason}
        if not cases:
            return None
    ts = decision.ts if decision else entity.ts
    return Subject(pseudonym, ts, tuple(cases.values()), not reason)


def cases_of(reader: Reader, entity: EntityRecord) -> dict[str, Case]:
    """Return the reasons of an entity's risk with the weight of each and the facts of its newest evidence."""
    facts: dict[str, tuple[tuple[str, float, float], ...]] = {}
    for decision in reader.decisions(entity=entity.pseudonym, run_id=entity.run_id, limit=SHOWN).items:
        facts.setdefault(decision.reason, decision.facts)
    weights = weights_of(entity.risk, entity.contributions)
    return {code: Case(code, weights.get(code, 0.0), facts.get(code, ())) for code in entity.reasons if _own(code)}


def _own(reason: str) -> bool:
    """Tell whether a reason rests on evidence, rather than on a label or on others."""
    return not reason.startswith(("label.", "related."))


def _case_of(decision: DecisionRecord) -> Case:
    risk = float(decision.document.get("risk", {}).get("risk", 0.5))
    return Case(decision.reason, risk, decision.facts)


def make_label(subject: Subject, said: Said, now: int, number: int) -> LabelRecord:
    """Return a label as the store keeps it; `number` tells apart what is said twice at one instant."""
    parts = (subject.pseudonym, str(said.malicious), said.actor, str(now), str(number))
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    cases = tuple((case.reason, case.weight, case.facts) for case in subject.cases)
    return LabelRecord(
        name, subject.ts, now, subject.pseudonym, said.malicious, subject.whole, cases, mask(said.note), said.actor,
        said.origin,
    )  # fmt: skip


def withdrawn(label: LabelRecord, actor: str, now: int) -> LabelRecord:
    """Return a label that is no longer in force; one that was withdrawn before stays as it was."""
    return label if label.withdrawn_ns else replace(label, withdrawn_ns=now, withdrawn_by=actor)


def labels_of(records: Iterable[LabelRecord], vault: Vault) -> list[Label]:
    """Return the labels in force, in the order in which they were given."""
    return [_label(record, vault) for record in records if not record.withdrawn_ns]


def _label(record: LabelRecord, vault: Vault) -> Label:
    try:
        entity = vault.find(record.pseudonym)
    except UnknownSubjectError:
        entity = None
    return Label(record.id, record.ts, entity, record.malicious, plain_cases(record), record.whole)


def plain_cases(record: LabelRecord) -> tuple[Case, ...]:
    """Return the cases of a stored label."""
    return tuple(Case(reason, weight, facts) for reason, weight, facts in record.cases)


def facts_for_audit(label: LabelRecord, commitment: Callable[[str], str]) -> dict[str, Any]:
    """Return what the audit log says of a label."""
    return {
        "label": label.id, "subjects": [commitment(label.pseudonym)], "verdict": verdict(label),
        "reasons": sorted({case[0] for case in label.cases}), "origin": label.origin,
    }  # fmt: skip


def verdict(label: LabelRecord) -> str:
    """Return the word for what was said."""
    return "malicious" if label.malicious else "benign"


def taught(state: State, seed: int) -> Feedback:
    """Return what a run hears of the labels in its state directory; above a hundred of them a forest is grown first."""
    labels = labels_of(state.store.labels(in_force=True), state.vault)
    return Feedback(labels, grow(labels, seed))
