"""The AuthZEN form of a question and its answer (OpenID AuthZEN Authorization API 1.0, access evaluation).

Guarantees: what comes is bounded and checked, and a form that cannot be read is a `DialectError` with a stable code; of
`properties` and `context` those are read that the input document knows (below), the rest is left out; the answer's
`decision` is true for allow and throttle. Believes what it is told of the subject: only a policy enforcement point that
authenticated itself may ask. Pure; the route's sensitivity is the caller's, never the question's.

    subject.type        an entity's kind: ip, host, user, device, session, workload ...
    subject.id          its name
    subject.properties  identity, proof, device, posture, groups, session_age_s
    action.name         the action
    resource.type, .id  kind (network, http) and name
    resource.properties owner
    context             network, place, sensor, and further texts as facts
"""

import json
from collections.abc import Mapping
from typing import Any

from policy.errors import DialectError
from policy.values import AccessRequest, Decision, Resource, Subject, Verdict
from sensors.addresses import host_entity, normalise_host
from sensors.entities import Entity, EntityKind

MAX_BYTES = 65_536
MAX_TEXT = 2_048
MAX_ITEMS = 64
_DEVICES = {"unknown": None, "managed": True, "unmanaged": False}
_CHOICES = {
    "proof": ("none", "password", "token", "mtls"),
    "device": tuple(_DEVICES),
    "posture": ("unknown", "good", "poor"),
    "type": ("network", "http"),
}
_SURROUNDINGS = ("network", "place", "sensor")
_ALLOWING = frozenset({Verdict.ALLOW, Verdict.THROTTLE})


def read_question(body: bytes, ts: int, sensitivity: str = "normal") -> AccessRequest:
    """Read a request of the access evaluation API, asked at `ts` (ns); raise `DialectError`."""
    question = _parsed(body)
    resource, context = _part(question, "resource"), _part(question, "context", {})
    network, place, sensor = (_text(context, name, "") for name in _SURROUNDINGS)
    facts = {name: value for name, value in context.items() if name not in _SURROUNDINGS and isinstance(value, str)}
    if len(facts) > MAX_ITEMS or any(len(text) > MAX_TEXT for item in facts.items() for text in item):
        raise DialectError("authzen.context", "context holds too much")
    owner = _text(_part(resource, "properties", {}), "owner", "")
    return AccessRequest(
        ts, _subject(_part(question, "subject")),
        Resource(_choice(resource, "type"), _text(resource, "id"), sensitivity, owner),
        _text(_part(question, "action"), "name"), facts, network, place, sensor,
    )  # fmt: skip


def write_answer(decision: Decision) -> dict[str, Any]:
    """Write a decision as the API's response (JSON values, hence Any)."""
    return {
        "decision": decision.verdict in _ALLOWING,
        "context": {
            "id": decision.id,
            "verdict": decision.verdict.value,
            "reason_user": {reason.code: reason.text for reason in decision.reasons},
            "obligations": dict(decision.obligations),
            "ttl_s": decision.ttl_s,
            "policy_revision": decision.policy_revision,
        },
    }


def _parsed(body: bytes) -> Mapping[str, Any]:
    if len(body) > MAX_BYTES:
        raise DialectError("authzen.size", f"the question is longer than {MAX_BYTES} bytes")
    try:
        question = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DialectError("authzen.json", "the question is not JSON") from error
    if not isinstance(question, dict):
        raise DialectError("authzen.json", "the question is not a JSON object")
    return question


def _subject(subject: Mapping[str, Any]) -> Subject:
    properties = _part(subject, "properties", {})
    groups, age = properties.get("groups", []), properties.get("session_age_s")
    if not isinstance(groups, list) or len(groups) > MAX_ITEMS:
        raise DialectError("authzen.subject", "groups is not a short list")
    if age is not None and (isinstance(age, bool) or not isinstance(age, int) or not 0 <= age < 2**53):
        raise DialectError("authzen.subject", "session_age_s is not a number of seconds")
    return Subject(
        _entity(subject), _text(properties, "identity", ""), _choice(properties, "proof", "none"),
        _DEVICES[_choice(properties, "device", "unknown")], _choice(properties, "posture", "unknown"),
        tuple(_text({"groups": group}, "groups") for group in groups), age,
    )  # fmt: skip


def _entity(subject: Mapping[str, Any]) -> Entity:
    kind, name = _text(subject, "type"), _text(subject, "id")
    if kind not in set(EntityKind):
        raise DialectError("authzen.subject", "the subject's type is not known")
    if kind not in (EntityKind.IP, EntityKind.HOST):
        return Entity(EntityKind(kind), name)
    entity = host_entity(normalise_host(name))
    if entity.kind != kind:
        raise DialectError("authzen.subject", f"the subject's id is not of type {kind}")
    return entity


def _part(value: Mapping[str, Any], name: str, otherwise: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    part = value.get(name, otherwise)
    if not isinstance(part, dict):
        raise DialectError(f"authzen.{name}", f"{name} is not an object")
    return part


def _text(value: Mapping[str, Any], name: str, otherwise: str | None = None) -> str:
    text = value.get(name, otherwise)
    if not isinstance(text, str) or len(text) > MAX_TEXT or (otherwise is None and not text):
        raise DialectError(f"authzen.{name}", f"{name} is not a text of up to {MAX_TEXT} characters")
    return text


def _choice(value: Mapping[str, Any], name: str, otherwise: str | None = None) -> str:
    text = _text(value, name, otherwise)
    if text not in _CHOICES[name]:
        raise DialectError(f"authzen.{name}", f"{name} is none of {', '.join(_CHOICES[name])}")
    return text
