"""Sessions of the gate's own, kept by the browser in a sealed cookie.

Guarantees: a session counts for the device it was begun on (the client certificate, where there is none the address),
for the one whom other credentials name, if they name anybody, and until it ends; nobody can make or change one. The
cookie is bound to the host and goes over TLS only (`__Host-`, Secure, HttpOnly, SameSite; RFC 6265bis). Whether a
session was revoked is the signals' to say. Pure.
"""

import hashlib
from dataclasses import dataclass

from policy.errors import CredentialError
from policy.gateways.values import Credentials
from policy.identity.seals import Seal
from policy.identity.values import Proven
from sensors.entities import Entity

COOKIE = "__Host-ostiary"
PURPOSE = "session"


@dataclass(frozen=True, slots=True)
class Session:
    """What a session's cookie holds."""

    name: str
    proof: str
    aliases: tuple[str, ...]
    groups: tuple[str, ...]
    id: str
    began_s: int
    stepped_up_s: int
    device: str
    """A digest of the device, from `device_mark`."""

    def sealed(self, seal: Seal, nonce: bytes) -> str:
        """Return the cookie's value; raise `CredentialError` where it is too long."""
        row = [
            self.name, self.proof, list(self.aliases), list(self.groups), self.id, self.began_s, self.stepped_up_s,
            self.device,
        ]  # fmt: skip
        return seal.close(PURPOSE, row, nonce)

    def proven(self) -> Proven:
        """Return whom the session proves its holder to be."""
        return Proven(
            self.name, self.proof, self.aliases, self.groups, self.id, self.began_s, self.began_s, self.stepped_up_s
        )


def device_mark(address: Entity, credentials: Credentials) -> str:
    """Return a digest of the device that asks: its certificate, where there is none its address."""
    device = credentials.uri or credentials.certificate or f"{address.kind.value}:{address.id}"
    return hashlib.sha256(device.encode("utf-8", "replace")).hexdigest()[:24]


def read_session(seal: Seal, cookies: str, mark: str, now_s: float, remember_s: int) -> Session | None:
    """Return the session of a Cookie header at `now_s`; None where there is none; raise `CredentialError`."""
    value = cookie_value(cookies, COOKIE)
    if not value:
        return None
    try:
        name, proof, aliases, groups, number, began_s, stepped_up_s, device = seal.open(PURPOSE, value)
    except (ValueError, TypeError) as error:
        raise CredentialError("identity.seal", "the session is of another version") from error
    session = Session(name, proof, tuple(aliases), tuple(groups), number, began_s, stepped_up_s, device)
    if session.device != mark:
        raise CredentialError("identity.session-device", "the session was begun on another device")
    if not -60 <= now_s - session.stepped_up_s < remember_s:
        return None
    return session


def cookie_value(cookies: str, name: str) -> str:
    """Return a cookie's value; "" where there is none; raise `CredentialError` where it comes twice."""
    if name not in cookies:
        return ""
    found = [
        value.strip() for key, equals, value in (part.partition("=") for part in cookies.split(";"))
        if equals and key.strip() == name
    ]  # fmt: skip
    if len(found) > 1:
        raise CredentialError("identity.cookie-twice", "a cookie comes twice")
    return found[0] if found else ""


def set_cookie(value: str, max_age_s: int) -> bytes:
    """Return the Set-Cookie header's value; with `max_age_s` 0 it ends the session."""
    return f"{COOKIE}={value}; Max-Age={max_age_s}; Path=/; Secure; HttpOnly; SameSite=Lax".encode()
