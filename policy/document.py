"""The input document: what the policy sees of a request, in JSON values.

Guarantees: the same request and assessment give the same document; it satisfies `policy/schema/input.schema.json`; it
holds no clock reading but the request's own. "missing" and "stale" are values of `risk.state`, never errors. What it
does not do: hide personal data. A document names the subject; whoever stores one sees to that.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from policy.values import AccessRequest, Subject
from risk.values import Assessment

VERSION = 1
"""Version of the document's form; a policy refuses one that it does not know."""

STALE_AFTER_S = 300.0
"""Seconds after which an assessment that nobody renewed is stale."""

_DEVICE = {None: "unknown", True: "managed", False: "unmanaged"}

Document = Mapping[str, Any]
"""An input document (JSON values, hence Any)."""


def request_document(
    request: AccessRequest, assessment: Assessment | None, stale_after_s: float = STALE_AFTER_S
) -> dict[str, Any]:
    """Return the input document of a request, given what is known of its subject's risk (None: nothing)."""
    resource = request.resource
    return {
        "version": VERSION,
        "subject": _subject(request.subject),
        "resource": {"kind": resource.kind, "name": resource.name, "sensitivity": resource.sensitivity},
        "action": request.action,
        "environment": {"time": time_text(request.ts // 1_000_000_000), "facts": dict(request.environment)},
        "risk": _risk(request.ts, assessment, stale_after_s),
    }


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "kind": subject.entity.kind.value,
        "id": subject.entity.id,
        "identity": subject.identity,
        "proof": subject.proof,
        "device": _DEVICE[subject.device_managed],
    }


def _risk(now: int, assessment: Assessment | None, stale_after_s: float) -> dict[str, Any]:
    if assessment is None:
        return {"state": "missing"}
    lag_s = max(0.0, (now - assessment.ts) / 1e9)
    return {
        "state": "stale" if lag_s > stale_after_s else "known",
        "risk": round(assessment.risk, 4),
        "level": assessment.level.value,
        "confidence": round(assessment.confidence, 4),
        "age_s": round(assessment.age_s + lag_s, 3),
        "reasons": list(assessment.reasons),
        "model_revision": assessment.model_revision,
    }


@lru_cache(maxsize=1024)
def time_text(seconds: int) -> str:
    """Return an instant (seconds since the epoch, years 1970 to 9999) as RFC 3339 in UTC, to the second.

    All have the same length, so they compare as texts. Raises ValueError or OverflowError for another year.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
