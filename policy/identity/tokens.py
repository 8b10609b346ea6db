"""Signed tokens (JWT, RFC 7519), verified as RFC 8725 wants it.

Guarantees: the algorithm is the one that the settings pin for the issuer, never the token's choice; keys come from the
issuer's set, never from the token (`jku`, `x5u`, `jwk` are not looked at); `iss`, `aud`, `exp` and `nbf` are checked
with `SKEW_S` of difference between clocks; a token of another kind (`typ`) or with critical extensions is refused. A
token that was verified is known by its SHA-256 until it ends or the keys change, one that failed for a second, so that
a repeat costs microseconds. No clock, no I/O. Texts of errors hold nothing of the token.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from policy.errors import CredentialError
from policy.identity.keys import KeySet
from policy.identity.values import Proven
from policy.settings import IssuerSettings

SKEW_S = 60
MAX_BYTES = 8_192
MAX_GROUPS = 64
MAX_TEXT = 512
CACHED, REFUSED = 16_384, 4_096
REFUSED_S = 1.0
_TYPES = ("", "jwt", "at+jwt", "application/at+jwt", "application/jwt")

Claims = Mapping[str, Any]
"""A token's claims (JSON values, hence Any)."""


def verified_claims(token: str, keys: KeySet, types: tuple[str, ...]) -> Claims:
    """Return the claims of a token that one of the keys signed; raise `CredentialError`. `types` may be its `typ`."""
    try:
        signed = jws.extract_compact(token.encode("ascii"))
        header = signed.headers()
        if header.get("alg") != keys.algorithm:
            raise CredentialError("identity.token-algorithm", "the token is signed by another algorithm")
        if "crit" in header or str(header.get("typ", "")).lower() not in types:
            raise CredentialError("identity.token-type", "the token is of another kind")
        kid = header.get("kid")
        if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_TEXT):
            raise CredentialError("identity.token-form", "the token's key id is not a text")
        key = keys.find(kid)
        if key is None:
            raise CredentialError("identity.token-key", "the token is signed by a key that is not known")
        if not jws.validate_compact(signed, key, [keys.algorithm]):
            raise CredentialError("identity.token-signature", "the token's signature is wrong")
        claims = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CredentialError("identity.token-form", "the token cannot be read") from error
    if not isinstance(claims, dict):
        raise CredentialError("identity.token-form", "the token's claims are not an object")
    return claims


def issuer_of(token: str) -> str:
    """Return the `iss` that a token claims, before anything is verified; raise `CredentialError`."""
    if len(token) > MAX_BYTES:
        raise CredentialError("identity.token-form", f"the token is longer than {MAX_BYTES} bytes")
    try:
        claims = json.loads(jws.extract_compact(token.encode("ascii")).payload)
        issuer = claims["iss"]
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CredentialError("identity.token-form", "the token cannot be read") from error
    if not isinstance(issuer, str):
        raise CredentialError("identity.token-form", "the token's issuer is not a text")
    return issuer


def check_audience(claims: Claims, audience: str) -> None:
    """Raise `CredentialError` where `aud` doesn't name the audience."""
    told = claims.get("aud")
    if told != audience and not (isinstance(told, list) and audience in told):
        raise CredentialError("identity.token-audience", "the token is for somebody else")


def check_times(claims: Claims, now_s: float) -> float:
    """Return until when a token holds, seconds since the epoch; raise `CredentialError` where it doesn't hold now."""
    ends, begins = _instant(claims, "exp"), _instant(claims, "nbf")
    if ends is None:
        raise CredentialError("identity.token-endless", "the token has no end")
    if now_s >= ends + SKEW_S:
        raise CredentialError("identity.token-expired", "the token has expired")
    if max(begins or 0, _instant(claims, "iat") or 0) > now_s + SKEW_S:
        raise CredentialError("identity.token-early", "the token doesn't hold yet")
    return ends + SKEW_S


def _instant(claims: Claims, name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise CredentialError("identity.token-form", f"the token's {name} is not a time")
    return int(value)


def holder(claims: Claims, settings: IssuerSettings) -> Proven:
    """Return whom verified claims name; raise `CredentialError` where they name nobody."""
    name = _text(claims.get(settings.name_claim))
    if not name:
        raise CredentialError("identity.token-nameless", f"the token has no {settings.name_claim}")
    groups = claims.get(settings.groups_claim)
    told = [group for group in groups if _text(group)][:MAX_GROUPS] if isinstance(groups, list) else []
    issued, logged_in = _instant(claims, "iat"), _instant(claims, "auth_time")
    compliant = claims.get(settings.compliant_claim)
    aliases = {_text(claims.get(claim)) for claim in ("sub", "email")} - {"", name}
    strong = _text(claims.get("acr")) in settings.strong
    return Proven(
        name, "token", tuple(sorted(aliases)), tuple(told), _text(claims.get("sid")), issued or 0,
        logged_in if logged_in is not None else issued, (logged_in or issued) if strong else None,
        _text(claims.get(settings.device_claim)), compliant=compliant if isinstance(compliant, bool) else None,
    )  # fmt: skip


def _text(value: Any) -> str:  # a JSON value
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else ""


@dataclass(frozen=True, slots=True)
class _Held:
    proven: Proven | tuple[str, str]
    """Whom it names, or code and text of why it names nobody."""
    until_s: float
    keys: KeySet | None
    generation: int


class Tokens:
    """Names the holders of tokens."""

    def __init__(self, issuers: Mapping[str, tuple[IssuerSettings, KeySet]]) -> None:
        self._issuers = issuers
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._refused: OrderedDict[bytes, _Held] = OrderedDict()

    def holder(self, token: str, now_s: float) -> Proven:
        """Return whom a token names at `now_s`; raise `CredentialError`."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        held = self._held.get(digest) or self._refused.get(digest)
        if held is not None and now_s < held.until_s and (held.keys is None or held.keys.generation == held.generation):
            if isinstance(held.proven, tuple):
                raise CredentialError(*held.proven)
            return held.proven
        try:
            proven, until_s, keys = self._verified(token, now_s)
        except CredentialError as error:
            self._held.pop(digest, None)
            _keep(self._refused, digest, _Held((error.code, str(error)), now_s + REFUSED_S, None, 0), REFUSED)
            raise
        _keep(self._held, digest, _Held(proven, until_s, keys, keys.generation), CACHED)
        return proven

    def _verified(self, token: str, now_s: float) -> tuple[Proven, float, KeySet]:
        known = self._issuers.get(issuer_of(token))
        if known is None:
            raise CredentialError("identity.token-issuer", "the token's issuer is not one of ours")
        settings, keys = known
        claims = verified_claims(token, keys, _TYPES)
        check_audience(claims, settings.audience)
        return holder(claims, settings), check_times(claims, now_s), keys


def _keep(table: OrderedDict[bytes, _Held], digest: bytes, held: _Held, most: int) -> None:
    table[digest] = held
    table.move_to_end(digest)
    if len(table) > most:
        table.popitem(last=False)
