"""Security events (SET, RFC 8417; SSF and CAEP 1.0; some of RISC) as signals.

Guarantees: an event is signed by a transmitter of ours, for us, and of the kind `secevent+jwt`, which no other token
is; it is neither from the future nor older than `MAX_AGE_S`; what isn't understood is left out, what is broken is a
`CredentialError`. What an event says happened never lies after the time it was heard. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from policy.errors import CredentialError
from policy.identity.keys import KeySet
from policy.identity.tokens import SKEW_S, Claims, check_audience, check_times, issuer_of, verified_claims
from policy.identity.values import Signal, SignalKind
from policy.settings import TransmitterSettings

MAX_AGE_S = 7 * 86_400
MAX_EVENTS = 16
MAX_NAME = 512
_TYPES = ("secevent+jwt", "application/secevent+jwt")
_CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC = "https://schemas.openid.net/secevent/risc/event-type/"
_ENDING = frozenset(
    {_CAEP + "session-revoked"}
    | {_RISC + name for name in ("account-disabled", "account-purged", "sessions-revoked", "credential-compromise")}
)
_POSTURE = {"compliant": "good", "not-compliant": "poor"}
_RISKS = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high"}

Transmitters = Mapping[str, tuple[TransmitterSettings, KeySet]]


def read_event(token: str, transmitters: Transmitters, now_s: float) -> tuple[str, list[Signal]]:
    """Return an event's id and what it signals, heard at `now_s`; raise `CredentialError`."""
    issuer = issuer_of(token)
    known = transmitters.get(issuer)
    if known is None:
        raise CredentialError("identity.token-issuer", "the event's issuer is not one of ours")
    settings, keys = known
    claims = verified_claims(token, keys, _TYPES)
    check_audience(claims, settings.audience)
    if "exp" in claims:
        check_times(claims, now_s)
    issued, number, events = claims.get("iat"), claims.get("jti"), claims.get("events")
    if isinstance(issued, bool) or not isinstance(issued, int | float) or not isinstance(number, str) or not number:
        raise CredentialError("identity.event-form", "the event has no iat or no jti")
    if not -MAX_AGE_S <= issued - now_s <= SKEW_S:
        raise CredentialError("identity.event-time", "the event is too old, or from the future")
    if not isinstance(events, dict) or not 0 < len(events) <= MAX_EVENTS or len(number) > MAX_NAME:
        raise CredentialError("identity.event-form", "the token holds no events")
    return f"{issuer} {number}", [
        signal for name, event in events.items() for signal in _signals(name, event, claims, now_s)
    ]


def _signals(name: str, event: Any, claims: Claims, now_s: float) -> Iterator[Signal]:  # a JSON value
    if not isinstance(event, dict):
        raise CredentialError("identity.event-form", "an event is not an object")
    kind, value = _meaning(name, event)
    if kind is None:
        return
    abouts = _abouts(claims.get("sub_id", event.get("subject")), kind)
    if not abouts:
        raise CredentialError("identity.event-subject", "the event names nobody")
    at_s = _when(event.get("event_timestamp"), claims["iat"], now_s)
    for about in abouts:
        yield Signal(kind, about, at_s, value)


def _meaning(name: str, event: Mapping[str, Any]) -> tuple[SignalKind | None, str]:
    if name in _ENDING:
        return SignalKind.REVOKED, ""
    if name == _CAEP + "token-claims-change":  # what was issued before says what isn't so any more
        return SignalKind.REVOKED, ""
    if name == _CAEP + "credential-change" and event.get("change_type") in ("revoke", "update", "delete"):
        return SignalKind.REVOKED, ""
    if name == _CAEP + "assurance-level-change" and event.get("change_direction") != "increase":
        return SignalKind.DOUBTED, ""
    if name == _CAEP + "device-compliance-change" and (value := _POSTURE.get(str(event.get("current_status")), "")):
        return SignalKind.POSTURE, value
    if name == _CAEP + "risk-level-change" and (value := _RISKS.get(str(event.get("current_level")), "")):
        return SignalKind.RISK, value
    return None, ""


def _when(told: Any, issued: float, now_s: float) -> int:  # a JSON value
    """Return when it happened; some transmitters tell milliseconds."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 < told < 1e15:
        told = issued
    return int(min(told / 1000 if told > 1e11 else told, now_s))


def _abouts(subject: Any, kind: SignalKind) -> list[str]:  # a JSON value
    """Return whom a subject identifier names (RFC 9493, SSF 1.0), the narrowest that fits the kind of signal."""
    if not isinstance(subject, dict):
        return []
    family = "device" if kind is SignalKind.POSTURE else "user"
    parts = {name: _names(subject.get(name)) for name in ("session", "user", "device")}
    if any(parts.values()):
        order = {SignalKind.POSTURE: ("device",), SignalKind.REVOKED: ("session", "user", "device")}
        chosen = next((name for name in order.get(kind, ("user", "device", "session")) if parts[name]), "")
        return [f"{chosen}:{name}" for name in parts.get(chosen, [])]
    return [f"{family}:{name}" for name in _names(subject)]


def _names(subject: Any, deep: bool = True) -> list[str]:  # a JSON value
    if not isinstance(subject, dict):
        return []
    if deep and isinstance(subject.get("identifiers"), list):
        return [name for item in subject["identifiers"][:MAX_EVENTS] for name in _names(item, deep=False)]
    told = [subject.get(key) for key in ("sub", "email", "id", "uri")]
    texts = [text.removeprefix("acct:") for text in told if isinstance(text, str)]
    return [text for text in texts if 0 < len(text) <= MAX_NAME]
