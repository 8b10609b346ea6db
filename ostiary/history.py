"""Recorded decisions made again: the plain document out of the vault, the decision out of the same policy.

Guarantees: what `repeat` calls the same is the same to the byte, in canonical form, and is what the commitment in the
audit log binds; an edit of any part of the record is told from a policy that answers otherwise; a record of which
somebody was erased raises `NotRepeatableError`, and so does one that a version without encrypted fields left. Does not
ask whether one may look: that is written into the audit log before.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from compliance.errors import UnknownSubjectError, VaultError
from compliance.privacy.vault import Vault
from ostiary.errors import NotRepeatableError, StateError
from ostiary.store import DecisionRecord
from policy.decide import Decider, canonical, decision_record, recorded_decision
from policy.errors import DocumentError, PolicyError
from policy.records import restore, unpack
from policy.values import Decision


class Again(StrEnum):
    """What came of making a recorded decision again."""

    SAME = "same"
    DIFFERENT = "different"
    """The record is what the commitment binds, but the policy of the same revision gives other bytes."""
    CHANGED = "changed"
    """The record is not what the commitment binds: somebody edited it, or the commitment."""
    OTHER_POLICY = "other policy"
    """The record is what the commitment binds; another revision decided then than is at hand."""
    GONE = "no longer repeatable"


@dataclass(frozen=True, slots=True)
class Repeated:
    """A recorded decision, made again."""

    outcome: Again
    decision: Decision | None = None
    """As it is made now, or as the changed record says; None where the names are gone."""


def decision_message(decision: Decision) -> bytes:
    """Return the bytes that a decision's commitment binds: its record, and its input by the digest in it."""
    record = decision_record(decision)
    del record["input"]
    return b"decision\0" + canonical(record)


def plain_document(vault: Vault, decision_id: str, pseudonym: str, shown: str, sealed: bytes) -> dict[str, Any]:
    """Return the input document (JSON values, hence Any) as the policy saw it, out of the JSON that was stored.

    Raises `NotRepeatableError`, and `StateError` where the record is damaged.
    """
    if not sealed:
        raise NotRepeatableError("an earlier version recorded this decision without its names")
    try:
        hidden = unpack(json.loads(shown), vault.disclose(pseudonym, sealed, decision_id))
        return restore(hidden, lambda name: vault.find(name).id)
    except UnknownSubjectError as error:
        raise NotRepeatableError("somebody in this decision was erased: it is no longer repeatable") from error
    except (VaultError, DocumentError, ValueError, RecursionError) as error:
        raise StateError(f"the record of decision {decision_id} is damaged: {error}") from error


def repeat(vault: Vault, decider: Decider, record: DecisionRecord, sealed: bytes) -> Repeated:
    """Make a recorded decision again; raise `PolicyError` where the policy fails, `StateError` for a damaged record."""
    try:
        document = plain_document(vault, record.id, record.pseudonym, json.dumps(record.document), sealed)
    except NotRepeatableError:
        return Repeated(Again.GONE)
    recorded = _recorded(record, document)
    if recorded is None:
        return Repeated(Again.CHANGED)
    commitment = hmac.digest(vault.opening(record.pseudonym), decision_message(recorded), "sha256").hex()
    if not hmac.compare_digest(commitment, record.input_digest):
        return Repeated(Again.CHANGED, recorded)
    decision = decider.again(document, record.ts, record.model_revision)
    if decision.policy_revision != record.policy_revision:
        return Repeated(Again.OTHER_POLICY, decision)
    same = decision_message(decision) == decision_message(recorded)
    return Repeated(Again.SAME if same else Again.DIFFERENT, decision)


def _recorded(record: DecisionRecord, document: Mapping[str, Any]) -> Decision | None:
    """Return the decision that a record says was made; None where it says nothing that could be one."""
    answer = {
        "verdict": record.verdict, "reasons": [{"code": code, "text": text} for code, text in record.reasons],
        "obligations": record.obligations, "ttl_s": record.ttl_s,
    }  # fmt: skip
    try:
        return recorded_decision(document, record.ts, answer, record.policy_revision, record.model_revision)
    except PolicyError:
        return None


def tally(outcomes: Mapping[Again, int]) -> str:
    """Return counts in words, the zeros left out."""
    return ", ".join(f"{count:,} {outcome.value}" for outcome, count in outcomes.items() if count) or "no decision"
