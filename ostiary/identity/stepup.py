"""Step-up by one-time codes: `/.ostiary/step-up` asks for a code, and a session remembers that it was right.

Guarantees: a code counts once, whichever process is asked (it is looked up and marked under one lock); after ten wrong
ones in a quarter of an hour, for one user or from one address, none is looked at; an unknown user is told and takes what
a wrong code does; the form counts for the device that it was given to, for a quarter of an hour, and only from our own
page; the way back leads to the same host. A session that was begun with nothing but a code proves as much as a password.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from ostiary.identity import page
from ostiary.identity.enrolled import Enrolled
from ostiary.identity.journal import Journal
from ostiary.identity.requests import Asker, asker, fields, query, same_site
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.errors import CredentialError, DialectError
from policy.gateways.values import Answer
from policy.identity import Identities, totp
from policy.identity.returns import HOLDS_S, opened_return, sealed_return
from policy.identity.seals import NONCE_BYTES, Seal
from policy.identity.sessions import Session, device_mark, set_cookie
from policy.identity.values import Proven, Signal, SignalKind

PATH = "/.ostiary/step-up"
WRONG = "This code is not right, or was used already."
TOO_MANY = "Too many wrong codes. Try again in a quarter of an hour."
_NOBODY = b"\0" * totp.SECRET_BYTES


def nonce() -> bytes:
    """Return the random bytes that a seal needs."""
    return secrets.token_bytes(NONCE_BYTES)


def session_of(proven: Proven | None, name: str, mark: str, now_s: int) -> Session:
    """Return the session of somebody who just proved themselves anew."""
    known = proven or Proven(name, "password")
    began_s = now_s if known.issued_s is None else max(known.issued_s, known.began_s or 0)
    del began_s
    return Session(name, "password", known.aliases, known.groups, known.session, now_s, now_s, mark)


class StepUp:
    """Serves the page."""

    def __init__(
        self, identities: Identities, seal: Seal, journal: Journal, enrolled: Callable[[], Enrolled],
        counters: Counters, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._identities, self._seal, self._journal = identities, seal, journal
        self._enrolled, self._counters, self._clock = enrolled, counters, clock

    def where(self, back: str, now_s: float) -> str:
        """Return where to send a browser that is to come back to a target."""
        return f"{PATH}?to={sealed_return(self._seal, back, now_s, nonce())}"

    async def serve(self, request: Request) -> Answer:
        """Answer a request for the page."""
        now_s = self._clock()
        try:
            who = asker(request)
            if request.method == "GET":
                return self._asked(request, who, now_s)
            if request.method == "POST":
                return self._told(request, who, now_s)
        except (CredentialError, DialectError) as error:
            return page.sorry(400, f"The request cannot be taken ({error.code}).")
        return page.sorry(405, "Only GET and POST.")

    def _asked(self, request: Request, who: Asker, now_s: float) -> Answer:
        target = opened_return(self._seal, query(request).get("to", ""), now_s)
        proven = self._identities.proven(who.address, who.credentials, now_s)
        return page.form(self._form(target, who, now_s), proven.name if proven else "")

    def _form(self, target: str, who: Asker, now_s: float) -> str:
        return self._seal.close("form", [target, device_mark(who.address, who.credentials), int(now_s)], nonce())

    def _told(self, request: Request, who: Asker, now_s: float) -> Answer:
        if not same_site(request):
            raise CredentialError("identity.form-origin", "the form comes from another site")
        told = fields(request.body.decode("utf-8", "replace"))
        target, mark, at_s = self._seal.open("form", told.get("form", ""))
        if mark != device_mark(who.address, who.credentials) or not -60 <= now_s - at_s < HOLDS_S:
            raise CredentialError("identity.form", "the form is of another device, or too old")
        proven = self._identities.proven(who.address, who.credentials, now_s)
        name = proven.name if proven else told.get("name", "").strip()
        wrong = self._wrong(name, told.get("code", ""), f"address:{who.address.id}", now_s)
        if wrong:
            self._counters.add("wrong_guesses")
            return page.form(self._form(target, who, now_s), proven.name if proven else "", wrong)
        self._counters.add("step_ups")
        session = session_of(proven, name, mark, int(now_s)).sealed(self._seal, nonce())
        cookie = set_cookie(session, self._identities.sources.remember_s)
        return Answer(303, ((b"location", target.encode()), (b"set-cookie", cookie), (b"cache-control", b"no-store")))

    def _wrong(self, name: str, code: str, address: str, now_s: float) -> str:
        """Return what is the matter with a code; "" where it is right, which uses it up."""
        secret, _ = self._enrolled().codes.get(name, (None, 0))
        user, signals = f"user:{name}", self._identities.signals
        with self._journal.locked():
            self._journal.poll()
            if signals.locked(address, now_s) or (secret is not None and signals.locked(user, now_s)):
                return TOO_MANY
            _, used = signals.find(SignalKind.USED, user) or (0, "0")
            step = totp.matching_step(secret or _NOBODY, code, now_s, int(used))
            if secret is not None and step is not None:
                self._journal.append([Signal(SignalKind.USED, user, int(now_s), str(step))])
            else:
                guess = Signal(SignalKind.GUESSED, address, int(now_s))
                self._journal.append([guess] if secret is None else [guess, replace(guess, about=user)])
        self._journal.poll()
        return "" if secret is not None and step is not None else WRONG
