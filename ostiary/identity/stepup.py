"""Step-up by one-time codes: `/.ostiary/step-up` asks for a code, and a session remembers that it was right.

Guarantees: a code counts once, whichever process is asked (it is looked up and marked under one lock); after
`MOST_GUESSES` wrong ones of late, for one user or from one address (of IPv6 its /64), none is looked at; an unknown
user is told what a wrong code is; the form counts for the device that it was given to, for a quarter of an hour, and
only from our own page; the way back leads to the same host. A session that was begun with nothing but a code proves as
much as a password. Nobody waits for the lock but the one who brought the code.
"""

import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable

from ostiary.identity import page
from ostiary.identity.requests import Asker, asker, fields, query, same_site
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.errors import CredentialError, DialectError
from policy.gateways.values import Answer
from policy.identity import Identities, totp
from policy.identity.returns import HOLDS_S, opened_return, sealed_return
from policy.identity.seals import NONCE_BYTES, Seal
from policy.identity.sessions import Session, device_mark, set_cookie
from policy.identity.signals import Signals
from policy.identity.values import Proven, Signal, SignalKind

PATH = "/.ostiary/step-up"
WRONG = "This code is not right, or was used already."
TOO_MANY = "Too many wrong codes. Try again later."
BUSY = "Too many people prove themselves at this moment. Try again."
MAX_UNDER_WAY = 32
_NOBODY = b"\0" * totp.SECRET_BYTES
Change = Callable[[Callable[[Signals], Iterable[Signal]]], Awaitable[None]]
"""What makes signals durable that are decided on under the lock: `Journal.change`, in the journal's thread."""


class StepUp:
    """Serves the page."""

    def __init__(
        self, identities: Identities, seal: Seal, change: Change, secret: Callable[[str], bytes | None],
        counters: Counters, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`secret` is asked in the journal's thread."""
        self._identities, self._seal, self._change = identities, seal, change
        self._secret, self._counters, self._clock = secret, counters, clock
        self._under_way = 0

    def where(self, back: str, now_s: float) -> str:
        """Return where to send a browser that is to come back to a target."""
        return f"{PATH}?to={sealed_return(self._seal, back, now_s, seal_nonce())}"

    async def serve(self, request: Request) -> Answer:
        """Answer a request for the page."""
        now_s = self._clock()
        try:
            who = asker(request)
            if request.method == "GET":
                target = opened_return(self._seal, query(request).get("to", ""), now_s)
                proven = self._identities.proven(who.address, who.credentials, now_s)
                return page.form(self._form(target, who, now_s), proven.name if proven else "")
            if request.method == "POST":
                return await self._told(request, who, now_s)
        except (CredentialError, DialectError) as error:
            return page.sorry(400, f"The request cannot be taken ({error.code}).")
        return page.sorry(405, "Only GET and POST.")

    def _form(self, target: str, who: Asker, now_s: float) -> str:
        return self._seal.close("form", [target, device_mark(who.address, who.credentials), int(now_s)], seal_nonce())

    async def _told(self, request: Request, who: Asker, now_s: float) -> Answer:
        if not same_site(request):
            raise CredentialError("identity.form-origin", "the form comes from another site")
        told = fields(request.body.decode("utf-8", "replace"))
        target, mark, at_s = self._seal.open("form", told.get("form", ""))
        if mark != device_mark(who.address, who.credentials) or not -60 <= now_s - at_s < HOLDS_S:
            raise CredentialError("identity.form", "the form is of another device, or too old")
        proven = self._identities.proven(who.address, who.credentials, now_s)
        name = proven.name if proven else told.get("name", "").strip()
        if self._under_way >= MAX_UNDER_WAY:
            return page.sorry(503, BUSY)
        self._under_way += 1
        try:
            wrong = await self._wrong(name, told.get("code", ""), _address(who), now_s)
        finally:
            self._under_way -= 1
        if wrong:
            self._counters.add("wrong_codes")
            return page.form(self._form(target, who, now_s), proven.name if proven else "", wrong)
        self._counters.add("step_ups")
        return self._in(_session(proven, name, mark, int(now_s)), target)

    def _in(self, session: Session, target: str) -> Answer:
        cookie = set_cookie(session.sealed(self._seal, seal_nonce()), self._identities.sources.remember_s)
        return Answer(303, ((b"location", target.encode()), (b"set-cookie", cookie), (b"cache-control", b"no-store")))

    async def _wrong(self, name: str, code: str, address: str, now_s: float) -> str:
        """Return what is the matter with a code; "" where it is right, which uses it up."""
        found = [TOO_MANY]

        def decide(marks: Signals) -> Iterable[Signal]:
            secret, user = self._secret(name), f"user:{name}"
            if marks.locked(address, now_s) or (secret is not None and marks.locked(user, now_s)):
                return []
            _, used = marks.find(SignalKind.USED, user) or (0, "0")
            step = totp.matching_step(secret or _NOBODY, code, now_s, int(used))
            if secret is not None and step is not None:
                found[0] = ""
                return [Signal(SignalKind.USED, user, int(now_s), str(step))]
            found[0] = WRONG
            whose = [address] if secret is None else [address, user]
            return [Signal(SignalKind.GUESSED, about, int(now_s)) for about in whose]

        await self._change(decide)
        return found[0]


def _session(proven: Proven | None, name: str, mark: str, now_s: int) -> Session:
    """Return the session of somebody who just proved themselves anew; groups are for others to tell each time."""
    aliases, number = (proven.aliases, proven.session) if proven else ((), "")
    return Session(name, "password", aliases, (), number, now_s, now_s, mark)


def _address(who: Asker) -> str:
    """Return under what the guesses of an address count."""
    address = ipaddress.ip_address(who.address.id)
    return f"address:{address if address.version == 4 else ipaddress.ip_network((int(address) >> 64 << 64, 64))}"


def seal_nonce() -> bytes:
    """Return the random bytes that a seal needs."""
    return secrets.token_bytes(NONCE_BYTES)
