"""Step-up at an OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9700).

Guarantees: the provider is asked to authenticate the user now (`max_age=0`), by one of `acr_values` where there are
any, and the answer counts only if it says so; state, nonce and verifier are fresh and bound to the browser by a cookie
and to its device; the way back leads to the same host. The ID token is verified as any token is. Codes and tokens are
neither logged nor kept.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ostiary.identity import page
from ostiary.identity.fetch import fetch
from ostiary.identity.requests import Asker, asker, query
from ostiary.identity.stepup import nonce
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.errors import CredentialError, DialectError, IdentityError
from policy.gateways.values import Answer
from policy.identity import Identities
from policy.identity.keys import KeySet
from policy.identity.returns import HOLDS_S, opened_return
from policy.identity.seals import Seal
from policy.identity.sessions import Session, cookie_value, device_mark, set_cookie
from policy.identity.settings import IssuerSettings, ProviderSettings
from policy.identity.tokens import SKEW_S, Claims, check_audience, check_times, holder, verified_claims

CALLBACK = "/.ostiary/callback"
COOKIE = "__Host-ostiary-login"
MAX_UNDER_WAY = 8
_TYPES = ("", "jwt")


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider, and how its tokens are verified."""

    issuer: str
    settings: ProviderSettings
    tokens: IssuerSettings
    keys: KeySet


class Login:
    """Sends browsers to the provider, and takes them back."""

    def __init__(
        self, identities: Identities, seal: Seal, provider: Callable[[], Provider | None], counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._identities, self._seal, self._provider = identities, seal, provider
        self._counters, self._clock = counters, clock
        self._under_way = 0

    async def serve(self, request: Request) -> Answer:
        """Answer the request that leads to the provider, and the one that comes back from it."""
        provider = self._provider()
        if provider is None or request.method != "GET":
            return page.sorry(405, "There is no provider to go to.")
        try:
            who, now_s = asker(request), self._clock()
            if request.target.startswith(CALLBACK):
                return await self._back(provider, request, who, now_s)
            return self._sent(provider, opened_return(self._seal, query(request).get("to", ""), now_s), who, now_s)
        except (CredentialError, DialectError) as error:
            return page.sorry(400, f"The request cannot be taken ({error.code}).")
        except IdentityError:
            return page.sorry(503, "The provider cannot be asked right now.")

    def _sent(self, provider: Provider, target: str, who: Asker, now_s: float) -> Answer:
        verifier, browser, number = (secrets.token_urlsafe(32) for _ in range(3))
        mark = device_mark(who.address, who.credentials)
        state = self._seal.close("login", [target, mark, verifier, _digest(browser), number, int(now_s)], nonce())
        asked = {
            "response_type": "code", "client_id": provider.settings.client_id, "scope": "openid",
            "redirect_uri": provider.settings.callback_url, "state": state, "nonce": number, "max_age": "0",
            "code_challenge": _digest(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        if provider.settings.acr_values:
            asked["acr_values"] = provider.settings.acr_values
        cookie = f"{COOKIE}={browser}; Max-Age={HOLDS_S}; Path=/; Secure; HttpOnly; SameSite=Lax".encode()
        where = f"{provider.settings.authorize_url}?{urlencode(asked)}".encode()
        return Answer(302, ((b"location", where), (b"set-cookie", cookie), (b"cache-control", b"no-store")))

    async def _back(self, provider: Provider, request: Request, who: Asker, now_s: float) -> Answer:
        told = query(request)
        target, mark, verifier, browser, number, at_s = self._seal.open("login", told.get("state", ""))
        cookie = cookie_value(who.credentials.cookie, COOKIE)
        if not -60 <= now_s - at_s < HOLDS_S or mark != device_mark(who.address, who.credentials):
            raise CredentialError("identity.login", "the login was begun on another device, or too long ago")
        if not cookie or not hmac.compare_digest(_digest(cookie), browser):
            raise CredentialError("identity.login", "the login was begun in another browser")
        if told.get("iss", provider.issuer) != provider.issuer or "code" not in told:
            raise CredentialError("identity.login-refused", "the provider did not let the user in")
        claims = await self._claims(provider, told["code"], verifier)
        session = self._session(provider, claims, number, mark, self._clock())
        self._counters.add("step_ups")
        value = session.sealed(self._seal, nonce())
        kept = set_cookie(value, self._identities.sources.remember_s)
        return Answer(303, ((b"location", target.encode()), (b"set-cookie", kept), (b"cache-control", b"no-store")))

    async def _claims(self, provider: Provider, code: str, verifier: str) -> Claims:
        """Return the claims of the ID token that a code is worth; raise `IdentityError`."""
        if self._under_way >= MAX_UNDER_WAY:
            raise IdentityError("too many logins are under way")
        self._under_way += 1
        try:
            answer = await asyncio.to_thread(_redeem, provider.settings, code, verifier)
        finally:
            self._under_way -= 1
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IdentityError("the provider gave no ID token")
        return verified_claims(token, provider.keys, _TYPES)

    def _session(self, provider: Provider, claims: Claims, number: str, mark: str, now_s: float) -> Session:
        check_audience(claims, provider.settings.client_id)
        check_times(claims, now_s)
        proven = holder(claims, provider.tokens)
        wanted, logged_in = provider.settings.acr_values.split(), claims.get("auth_time")
        if (
            claims.get("iss") != provider.issuer
            or claims.get("azp", provider.settings.client_id) != provider.settings.client_id
        ):
            raise CredentialError("identity.token-issuer", "the ID token is for, or of, somebody else")
        if claims.get("nonce") != number:
            raise CredentialError("identity.login", "the ID token belongs to another login")
        if (
            (wanted and claims.get("acr") not in wanted)
            or not isinstance(logged_in, int)
            or now_s - logged_in > HOLDS_S + SKEW_S
        ):
            raise CredentialError("identity.login-weak", "the provider did not authenticate the user as was asked")
        began_s = min(logged_in, int(now_s))
        return Session(proven.name, "token", proven.aliases, proven.groups, proven.session, began_s, began_s, mark)


def _redeem(settings: ProviderSettings, code: str, verifier: str) -> Any:  # JSON values
    """Return what the token endpoint answers; raise `IdentityError`."""
    try:
        secret = Path(settings.client_secret_file).read_text("utf-8").strip()
        pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": settings.callback_url,
            "code_verifier": verifier,
        }  # fmt: skip
        basic = base64.b64encode(pair.encode()).decode()
        answer = json.loads(fetch(settings.token_url, form, f"Basic {basic}"))
    except (OSError, ValueError, RecursionError) as error:
        raise IdentityError("the provider's token endpoint cannot be used") from error
    return answer if isinstance(answer, dict) else {}


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
