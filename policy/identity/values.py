"""What proving hands on: who somebody is, and what others signal about them."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Proven:
    """Who a credential proves its holder to be. Holds nothing that could be used as a credential."""

    name: str
    proof: str
    """password (a shared secret), token (signed by somebody who is trusted), mtls."""
    aliases: tuple[str, ...] = ()
    """Other names under which signals may speak of it, such as a mail address."""
    groups: tuple[str, ...] = ()
    session: str = ""
    """The session's id, where whoever proved it says one."""
    issued_s: int | None = None
    """When the credential was made, seconds since the epoch; a later revocation ends it. 0: it does not say, and any
    revocation ends it. None: it is ended where it is kept, not by signals."""
    began_s: int | None = None
    """When the session began."""
    stepped_up_s: int | None = None
    """When its holder last proved itself anew."""
    device: str = ""
    """The device's id."""
    managed: bool | None = None
    compliant: bool | None = None


class SignalKind(StrEnum):
    """What a signal says."""

    REVOKED = "revoked"
    """What was issued before counts no more."""
    DOUBTED = "doubted"
    """Whatever was proven anew before has to be proven anew."""
    POSTURE = "posture"
    """How a device is kept: good or poor."""
    RISK = "risk"
    """How risky others find it: low, medium or high."""
    SEEN = "seen"
    """An event, so that it is not taken twice."""
    USED = "used"
    """A one-time code: `value` is its time step."""
    GUESSED = "guessed"
    """A wrong code."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that happened to a user, device or session."""

    kind: SignalKind
    about: str
    """`user:name`, `device:id`, `session:id`, `address:a`, `event:id`."""
    at_s: int
    """When, seconds since the epoch."""
    value: str = ""
