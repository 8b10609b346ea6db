"""The input document: what the policy sees of a request, in JSON values.

Guarantees: the same request and assessment give the same document; it satisfies `policy/schema/input.schema.json`; it
holds no clock reading but the request's own, and no text that is not Unicode (a lone surrogate, as an undecodable byte
of a log leaves it, becomes "?"). What is not known is a value of a `state` ("missing", "stale"), never an error. Does
not hide personal data: a document names the subject, and whoever stores one sees to that.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from policy.values import AccessRequest, History, Subject
from risk.values import Assessment

VERSION = 1
"""Version of the document's form; a policy refuses one that it does not know."""

STALE_AFTER_S = 300.0
"""Seconds after which an assessment that nobody renewed is stale."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_DEVICE = {None: "unknown", True: "managed", False: "unmanaged"}

Document = Mapping[str, Any]
"""An input document (JSON values, hence Any)."""


def request_document(request: AccessRequest, assessment: Assessment | None) -> dict[str, Any]:
    """Return the input document of a request, given what is known of its subject's risk (None: nothing)."""
    resource = request.resource
    return {
        "version": VERSION,
        "subject": _subject(request.subject),
        "resource": {
            "kind": resource.kind, "name": _clean(resource.name), "sensitivity": resource.sensitivity,
            "owner": _clean(resource.owner),
        },
        "action": _clean(request.action),
        "environment": _environment(request),
        "risk": _risk(request, assessment),
        "history": _history(request.history),
    }  # fmt: skip


def _environment(request: AccessRequest) -> dict[str, Any]:
    seconds = request.ts // 1_000_000_000
    return {
        "time": time_text(seconds),
        "weekday": WEEKDAYS[(seconds // 86_400 + 3) % 7],  # the epoch began on a Thursday
        "network": _clean(request.network),
        "place": _clean(request.place),
        "sensor": _clean(request.sensor),
        "facts": {_clean(name): _clean(value) for name, value in request.environment.items()},
    }


def _history(history: History | None) -> dict[str, Any]:
    return {"state": "missing"} if history is None else {"state": "known", "refused": history.refused}


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "kind": subject.entity.kind.value,
        "id": _clean(subject.entity.id),
        "identity": _clean(subject.identity),
        "proof": subject.proof,
        "device": _DEVICE[subject.device_managed],
        "posture": subject.posture,
        "groups": [_clean(group) for group in subject.groups],
        "session": session_document(subject.session_age_s),
        **_told(subject),
    }


def _told(subject: Subject) -> dict[str, Any]:
    """Return what only some subjects have; it is left out where nothing is known, as in documents of before."""
    told: dict[str, Any] = {}
    if subject.posture_age_s is not None:
        told["posture_age_s"] = max(0, subject.posture_age_s) // 60 * 60
    if subject.stepped_up_age_s is not None:
        told["stepped_up_age_s"] = max(0, subject.stepped_up_age_s) // 60 * 60
    if subject.told_risk != "unknown":
        told["told_risk"] = subject.told_risk
    return told


def session_document(age_s: int | None) -> dict[str, Any]:
    """Return what is told of a session: its age in whole minutes, so that a decision can hold for a while."""
    return {"state": "missing"} if age_s is None else {"state": "known", "age_s": max(0, age_s) // 60 * 60}


def is_stale(request: AccessRequest, assessment: Assessment) -> bool:
    """Tell whether an assessment is too old, at the time of a request, to be relied on."""
    return request.ts - assessment.ts > STALE_AFTER_S * 1e9


def _risk(request: AccessRequest, assessment: Assessment | None) -> dict[str, Any]:
    if assessment is None:
        return {"state": "missing"}
    lag_s = max(0.0, (request.ts - assessment.ts) / 1e9)
    return {
        "state": "stale" if is_stale(request, assessment) else "known",
        "risk": number(assessment.risk, 4),
        "level": assessment.level.value,
        "confidence": number(assessment.confidence, 4),
        "age_s": number(assessment.age_s + lag_s, 3),
        "reasons": [_clean(reason) for reason in assessment.reasons],
        "model_revision": assessment.model_revision,
    }


def number(value: float, digits: int) -> float:
    """Return a number rounded to `digits`, whole ones as integers, which is how canonical JSON writes them."""
    rounded = round(float(value), digits)
    return int(rounded) if rounded.is_integer() else rounded


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=1024)
def time_text(seconds: int) -> str:
    """Return an instant (seconds since the epoch, years 1970 to 9999) as RFC 3339 in UTC, to the second.

    All have the same length, so they compare as texts. Raises ValueError or OverflowError for another year.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
