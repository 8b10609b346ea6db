"""What the policy layer takes and hands on: access requests and decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from sensors.entities import Entity


class Verdict(StrEnum):
    """What a decision says, in rising severity."""

    ALLOW = "allow"
    THROTTLE = "throttle"
    STEP_UP = "step_up"
    DENY = "deny"
    ISOLATE = "isolate"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks (NIST SP 800-207, subject)."""

    entity: Entity
    identity: str = ""
    """Authenticated name; "" where nobody proved anything."""
    proof: str = "none"
    """How the identity was proven: none, password, token, mtls."""
    device_managed: bool | None = None
    """None: unknown."""
    posture: str = "unknown"
    """How the device is kept: unknown, good, poor, stale (told too long ago)."""
    groups: tuple[str, ...] = ()
    """What the identity belongs to, as whoever proved it says."""
    session_age_s: int | None = None
    """Seconds since the session began; None: unknown."""
    posture_age_s: int | None = None
    """Seconds since the posture was told, whole minutes; None: unknown."""
    stepped_up_age_s: int | None = None
    """Seconds since the subject last proved itself anew (step-up), whole minutes; None: never."""
    told_risk: str = "unknown"
    """What others say of the identity's or the device's risk (CAEP): unknown, low, medium, high."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for."""

    kind: str = "network"
    """network | http."""
    name: str = ""
    """Route or service name."""
    sensitivity: str = "normal"
    """public | normal | sensitive."""
    owner: str = ""
    """Identity that owns it; "": nobody in particular."""


@dataclass(frozen=True, slots=True)
class History:
    """What was decided on the subject of late."""

    refused: int = 0
    """Decisions in the last hour that refused, as `policy.history` rounds them."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One question to the policy: may this subject do this, now?"""

    ts: int
    subject: Subject
    resource: Resource = field(default_factory=Resource)
    action: str = "connect"
    """connect, or the HTTP method."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further facts of the surroundings, e.g. gateway."""
    network: str = ""
    """Name of the network that the request comes from, as the operator calls it."""
    place: str = ""
    """Where it comes from, e.g. a country's code."""
    sensor: str = ""
    """What saw it."""
    history: History | None = None
    """None: nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable code and its text."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What a second policy, beside the active one, says of the same question; it decides nothing."""

    revision: str
    verdict: str
    """"" where it failed."""
    because: str
    """The first reason's code, or the error's."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The policy's answer. Anybody can run it again from `document` and get the same bytes."""

    id: str
    """First 32 hex digits of the SHA-256 of the canonical record."""
    ts: int
    entity: Entity
    verdict: Verdict
    reasons: tuple[Reason, ...]
    obligations: Mapping[str, Any]
    """What the gateway must also do (JSON values, hence Any), e.g. {"retry_after_s": 30}."""
    ttl_s: float
    """How long a gateway may go on with it while nothing changes."""
    policy_revision: str
    model_revision: str
    input_digest: str
    """SHA-256 (hex) of the canonical input document (RFC 8785)."""
    document: Mapping[str, Any]
    """The input document as the policy saw it (JSON values, hence Any)."""
    shadow: ShadowAnswer | None = None
    """What a second policy says, where one was asked; no part of the record."""


class PolicyEngine(Protocol):
    """Something that evaluates a bundle. One object belongs to one thread."""

    name: str
    revision: str
    """Digest of the bundle's files."""

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision` for an input document; raise `PolicyError`."""
        ...


@runtime_checkable
class AsyncPolicyEngine(PolicyEngine, Protocol):
    """An engine that is elsewhere, and can be asked by many at once."""

    async def evaluate_async(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what `evaluate` does, while others go on; raise `PolicyError`."""
        ...
