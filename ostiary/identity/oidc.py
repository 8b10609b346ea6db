"""Step-up at an OpenID provider: sends browsers there, takes them back, redeems their codes.

Guarantees: state, nonce, verifier and the browser's cookie are fresh for each login; what counts is
`policy.identity.logins`' to say; the way back leads to the same host. Codes and tokens are neither logged nor kept. Few
logins are redeemed at the same time, in threads that nobody else waits for.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ostiary.identity import page
from ostiary.identity.fetch import apart, fetch
from ostiary.identity.requests import Asker, asker, query
from ostiary.identity.stepup import seal_nonce
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.errors import CredentialError, DialectError, IdentityError
from policy.gateways.values import Answer
from policy.identity.keys import KeySet
from policy.identity.logins import COOKIE, asked, begin_login, code_of, read_login, session_of
from policy.identity.returns import HOLDS_S, opened_return
from policy.identity.seals import Seal
from policy.identity.sessions import cookie_value, device_mark, set_cookie
from policy.identity.tokens import Claims, verified_claims
from policy.settings import IssuerSettings, ProviderSettings

CALLBACK = "/.ostiary/callback"
MAX_UNDER_WAY = 16
_TYPES = ("", "jwt")


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider, how its ID tokens are verified, and for how long a login is remembered."""

    issuer: str
    settings: ProviderSettings
    tokens: IssuerSettings
    keys: KeySet
    remember_s: int


class Logins:
    """Sends browsers to the provider, and takes them back."""

    def __init__(
        self, seal: Seal, provider: Callable[[], Provider | None], counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._seal, self._provider, self._counters, self._clock = seal, provider, counters, clock
        self._under_way = 0

    async def serve(self, request: Request) -> Answer:
        """Answer the request that leads to the provider, and the one that comes back from it."""
        provider = self._provider()
        if provider is None or request.method != "GET":
            return page.sorry(404 if provider is None else 405, "There is no such page.")
        try:
            who, told, now_s = asker(request), query(request), self._clock()
            if request.target.startswith(CALLBACK):
                return await self._back(provider, told, who, now_s)
            return self._sent(provider, opened_return(self._seal, told.get("to", ""), now_s), who, now_s)
        except (CredentialError, DialectError) as error:
            self._counters.add("logins_refused")
            return page.sorry(400, f"The login cannot be taken ({error.code}).")
        except IdentityError:
            self._counters.add("logins_refused")
            return page.sorry(503, "The provider cannot be asked right now.")

    def _sent(self, provider: Provider, target: str, who: Asker, now_s: float) -> Answer:
        verifier, browser, number = (secrets.token_urlsafe(32) for _ in range(3))
        login = begin_login(target, device_mark(who.address, who.credentials), verifier, browser, number, now_s)
        told = asked(provider.settings, login, login.sealed(self._seal, seal_nonce()))
        place = provider.settings.authorize_url
        where = f"{place}{'&' if '?' in place else '?'}{urlencode(told)}".encode()
        cookie = f"{COOKIE}={browser}; Max-Age={HOLDS_S}; Path=/; Secure; HttpOnly; SameSite=Lax".encode()
        return Answer(302, ((b"location", where), (b"set-cookie", cookie), (b"cache-control", b"no-store")))

    async def _back(self, provider: Provider, told: dict[str, str], who: Asker, now_s: float) -> Answer:
        cookie = cookie_value(who.credentials.cookie, COOKIE)
        login = read_login(self._seal, told.get("state", ""), cookie, device_mark(who.address, who.credentials), now_s)
        claims = await self._claims(provider, code_of(told, provider.issuer), login.verifier)
        session = session_of(claims, provider.issuer, provider.settings, provider.tokens, login, self._clock())
        self._counters.add("step_ups")
        kept = set_cookie(session.sealed(self._seal, seal_nonce()), provider.remember_s)
        target = login.target.encode()
        return Answer(303, ((b"location", target), (b"set-cookie", kept), (b"cache-control", b"no-store")))

    async def _claims(self, provider: Provider, code: str, verifier: str) -> Claims:
        """Return the claims of the ID token that a code is worth; raise `IdentityError`."""
        if self._under_way >= MAX_UNDER_WAY:
            raise IdentityError("too many logins are under way")
        self._under_way += 1
        try:
            answer = await apart(lambda: _redeem(provider.settings, code, verifier))
        finally:
            self._under_way -= 1
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IdentityError("the provider gave no ID token")
        return verified_claims(token, provider.keys, _TYPES)


def _redeem(settings: ProviderSettings, code: str, verifier: str) -> dict[str, Any]:  # JSON values
    """Return what the token endpoint answers; raise `IdentityError`."""
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": settings.callback_url,
        "client_id": settings.client_id, "code_verifier": verifier,
    }  # fmt: skip
    try:
        authorization = ""
        if settings.client_secret_file:
            secret = Path(settings.client_secret_file).read_text("utf-8").strip()
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = json.loads(fetch(settings.token_url, form, authorization))
    except (OSError, ValueError, RecursionError) as error:
        raise IdentityError("the provider's token endpoint cannot be used") from error
    return answer if isinstance(answer, dict) else {}
