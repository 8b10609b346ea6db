"""Logins at an OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9700).

Guarantees: the provider is asked to authenticate the user now (`max_age=0`), by one of `acr_values` where there are
any, and the answer counts only if it says so; a login is bound to the browser by a cookie, to its device, and to a
quarter of an hour; its ID token is for us, of the provider, and of this login alone. Verifying the token's signature
and fetching it is somebody else's. Pure.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from policy.errors import CredentialError
from policy.identity.returns import HOLDS_S, safe_target
from policy.identity.seals import Seal
from policy.identity.sessions import Session
from policy.identity.tokens import SKEW_S, Claims, check_audience, check_times, holder
from policy.settings import IssuerSettings, ProviderSettings

COOKIE = "__Host-ostiary-login"
PURPOSE = "login"


@dataclass(frozen=True, slots=True)
class Login:
    """A login under way; sealed, it is the `state` that the provider hands back."""

    target: str
    """Where the browser goes afterwards."""
    device: str
    verifier: str
    """PKCE's, which goes to the provider only with the code."""
    browser: str
    """A digest of the cookie."""
    nonce: str
    begun_s: int

    def sealed(self, seal: Seal, nonce: bytes) -> str:
        """Return the state; raise `CredentialError` where it is too long."""
        return seal.close(PURPOSE, list(astuple(self)), nonce)


def challenge(text: str) -> str:
    """Return the digest of a verifier or cookie (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("utf-8", "replace")).digest()).rstrip(b"=").decode()


def asked(provider: ProviderSettings, login: Login, state: str) -> dict[str, str]:
    """Return what the provider is asked for."""
    found = {
        "response_type": "code", "client_id": provider.client_id, "scope": "openid",
        "redirect_uri": provider.callback_url, "state": state, "nonce": login.nonce, "max_age": "0",
        "code_challenge": challenge(login.verifier), "code_challenge_method": "S256",
    }  # fmt: skip
    return found | ({"acr_values": provider.acr_values} if provider.acr_values else {})


def read_login(seal: Seal, state: str, cookie: str, device: str, now_s: float) -> Login:
    """Return the login of a state that came back; raise `CredentialError` where it isn't this browser's, or too old."""
    try:
        login = Login(*seal.open(PURPOSE, state))
    except TypeError as error:
        raise CredentialError("identity.login", "the login is of another version") from error
    if not -60 <= now_s - login.begun_s < HOLDS_S or login.device != device:
        raise CredentialError("identity.login", "the login was begun on another device, or too long ago")
    if not cookie or not hmac.compare_digest(challenge(cookie), login.browser):
        raise CredentialError("identity.login", "the login was begun in another browser")
    return login


def code_of(answer: Mapping[str, str], issuer: str) -> str:
    """Return the code that a provider sent; raise `CredentialError` where it let nobody in (RFC 9207 for `iss`)."""
    if answer.get("iss", issuer) != issuer or not answer.get("code"):
        raise CredentialError("identity.login-refused", "the provider did not let the user in")
    return answer["code"]


def session_of(
    claims: Claims, issuer: str, provider: ProviderSettings, tokens: IssuerSettings, login: Login, now_s: float
) -> Session:
    """Return the session that an ID token begins, its signature being verified; raise `CredentialError`."""
    check_audience(claims, provider.client_id)
    check_times(claims, now_s)
    if claims.get("iss") != issuer or claims.get("azp", provider.client_id) != provider.client_id:
        raise CredentialError("identity.token-issuer", "the ID token is for, or of, somebody else")
    if claims.get("nonce") != login.nonce:
        raise CredentialError("identity.login", "the ID token belongs to another login")
    wanted, at_s = provider.acr_values.split(), claims.get("auth_time")
    if wanted and claims.get("acr") not in wanted:
        raise CredentialError("identity.login-weak", "the provider did not authenticate the user as was asked")
    if isinstance(at_s, bool) or not isinstance(at_s, int) or not -SKEW_S <= at_s - login.begun_s <= HOLDS_S + SKEW_S:
        raise CredentialError("identity.login-weak", "the provider did not authenticate the user anew")
    proven, began_s = holder(claims, tokens), int(now_s)
    return Session(proven.name, "token", proven.aliases, proven.groups, proven.session, began_s, began_s, login.device)


def begin_login(target: str, device: str, verifier: str, cookie: str, nonce: str, now_s: float) -> Login:
    """Return a login that begins now and leads back to the same host."""
    return Login(safe_target(target), device, verifier, challenge(cookie), nonce, int(now_s))
