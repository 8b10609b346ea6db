"""From a request and an assessment to a decision that anybody can make again.

Guarantees: the same request, assessment and bundle give a byte-equal record, in any process, whatever engine; the
answer's form is checked; an engine's failure is a `PolicyError` and never a verdict. Digests and records are canonical
JSON (RFC 8785). Does not store or act.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

from policy.canonical import canonical
from policy.document import number, request_document
from policy.errors import AnswerError, DocumentError
from policy.obligations import problem
from policy.values import AccessRequest, AsyncPolicyEngine, Decision, PolicyEngine, Reason, Verdict
from risk.values import Assessment
from sensors.entities import Entity, EntityKind

__all__ = ["Decider", "canonical", "checked_answer", "decision_record", "recorded_decision"]

RECORD_VERSION = 1
MAX_REASONS = 64


class Decider:
    """Decides by one engine; belongs to the engine's thread."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine
        self._elsewhere = engine if isinstance(engine, AsyncPolicyEngine) else None
        self._by_text: Callable[[str], Mapping[str, Any]] | None = getattr(engine, "evaluate_json", None)
        """Where the engine takes a document as JSON, so that it is written once."""

    @property
    def revision(self) -> str:
        """The revision of the policy that decides."""
        return self._engine.revision

    def decide(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        """Return the policy's decision on a request; raise `PolicyError` where there is none."""
        document = _document(request, assessment)
        model = assessment.model_revision if assessment else ""
        return self._decided(request.ts, request.subject.entity, document, model)

    @property
    def waits(self) -> bool:
        """Tell whether the engine is elsewhere, so that `decide_async` spares others the waiting."""
        return self._elsewhere is not None

    async def decide_async(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        """Return the same as `decide` while others go on; raise `PolicyError`."""
        assert self._elsewhere is not None
        document = _document(request, assessment)
        digest = hashlib.sha256(canonical(document)).hexdigest()
        answer = await self._elsewhere.evaluate_async(document)
        model = assessment.model_revision if assessment else ""
        return _bound(request.ts, request.subject.entity, document, digest, answer, self._engine.revision, model)

    def again(self, document: Mapping[str, Any], ts: int, model_revision: str) -> Decision:
        """Decide on a recorded input document; raise `PolicyError`.

        With the policy that decided then, the decision has the same bytes.
        """
        return self._decided(ts, document_entity(document), dict(document), model_revision)

    def _decided(self, ts: int, entity: Entity, document: dict[str, Any], model_revision: str) -> Decision:
        text = canonical(document)  # what has no canonical form is not asked
        digest = hashlib.sha256(text).hexdigest()
        answer = self._by_text(text.decode()) if self._by_text else self._engine.evaluate(document)
        return _bound(ts, entity, document, digest, answer, self._engine.revision, model_revision)


def recorded_decision(
    document: Mapping[str, Any], ts: int, answer: Mapping[str, Any], policy_revision: str, model_revision: str
) -> Decision:
    """Return a decision as it was recorded, without asking any policy; raise `AnswerError`, `DocumentError`."""
    digest = hashlib.sha256(canonical(document)).hexdigest()
    entity = document_entity(document)
    return _bound(ts, entity, dict(document), digest, answer, policy_revision, model_revision)


def _bound(
    ts: int, entity: Entity, document: dict[str, Any], digest: str, answer: Mapping[str, Any], policy: str, model: str
) -> Decision:
    """Return an answer as a decision under its digests; `policy` and `model` are revisions."""
    body = {
        "version": RECORD_VERSION,
        "ts": str(ts),
        "entity": {"kind": document["subject"]["kind"], "id": document["subject"]["id"]},
        **checked_answer(answer),
        "policy_revision": policy,
        "model_revision": model,
        "input_digest": digest,
    }
    return _decision(ts, entity, document, body)


def document_entity(document: Mapping[str, Any]) -> Entity:
    """Return whom an input document is about; raise `DocumentError`."""
    try:
        return Entity(EntityKind(document["subject"]["kind"]), document["subject"]["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError("the document names no subject") from error


def decision_record(decision: Decision) -> dict[str, Any]:
    """Return a decision in JSON values: everything in it, `ts` (ns) as a text since JSON numbers cannot hold it.

    `id` is the first 32 hex digits of the SHA-256 of the record without `id` and `input`; `input_digest` binds `input`.
    """
    return {
        "version": RECORD_VERSION,
        "id": decision.id,
        "ts": str(decision.ts),
        "entity": {"kind": decision.document["subject"]["kind"], "id": decision.document["subject"]["id"]},
        "verdict": decision.verdict.value,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in decision.reasons],
        "obligations": dict(decision.obligations),
        "ttl_s": decision.ttl_s,
        "policy_revision": decision.policy_revision,
        "model_revision": decision.model_revision,
        "input_digest": decision.input_digest,
        "input": dict(decision.document),
    }


def _document(request: AccessRequest, assessment: Assessment | None) -> dict[str, Any]:
    try:
        return request_document(request, assessment)
    except (ValueError, OverflowError, OSError) as error:
        raise DocumentError(f"no input document: {error}") from error


def _decision(ts: int, entity: Entity, document: dict[str, Any], body: dict[str, Any]) -> Decision:
    return Decision(
        id=hashlib.sha256(canonical(body)).hexdigest()[:32],
        ts=ts,
        entity=entity,
        verdict=Verdict(body["verdict"]),
        reasons=tuple(Reason(reason["code"], reason["text"]) for reason in body["reasons"]),
        obligations=body["obligations"],
        ttl_s=body["ttl_s"],
        policy_revision=body["policy_revision"],
        model_revision=body["model_revision"],
        input_digest=body["input_digest"],
        document=document,
    )


def checked_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of an engine's answer; raise `AnswerError` where it is not a decision."""
    verdict, reasons = answer.get("verdict"), answer.get("reasons")
    obligations, ttl_s = answer.get("obligations"), answer.get("ttl_s")
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise AnswerError("the answer has no known verdict")
    if not isinstance(reasons, list) or len(reasons) > MAX_REASONS or not all(map(_is_reason, reasons)):
        raise AnswerError("the answer's reasons are not a short list of codes and texts")
    if not isinstance(obligations, dict):
        raise AnswerError("the answer's obligations are not an object")
    if wrong := obligations and problem(obligations):
        raise AnswerError(f"the obligation {wrong} has not the form that gateways rely on")
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 <= ttl_s < math.inf:
        raise AnswerError("the answer has no time to live")
    return {
        "verdict": verdict,
        "reasons": [{"code": reason["code"], "text": reason["text"]} for reason in reasons],
        "obligations": obligations,
        "ttl_s": number(ttl_s, 3),
    }


_VERDICTS = frozenset(verdict.value for verdict in Verdict)


def _is_reason(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("code"), str) and isinstance(value.get("text"), str)
