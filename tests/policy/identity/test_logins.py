"""Logins at a provider: what is asked, what comes back, and what of it counts."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from policy.errors import CredentialError
from policy.identity.logins import asked, begin_login, challenge, code_of, read_login, session_of
from policy.identity.returns import HOLDS_S
from policy.identity.seals import MAX_TEXT, Seal
from policy.identity.sessions import Session
from policy.settings import IssuerSettings, ProviderSettings

NOW = 1_790_000_000
SEAL = Seal(b"k" * 32)
ISSUER = "https://id.example"
PROVIDER = ProviderSettings("us", "https://id.example/a", "https://id.example/t", "https://app/.ostiary/callback")
STRONG = replace(PROVIDER, acr_values="phr mfa")
TOKENS = IssuerSettings(keys="", audience="app", groups_claim="roles")
LOGIN = begin_login("/shop?a=b", "device", "v" * 43, "cookie", "number", NOW)
CLAIMS = {
    "iss": ISSUER, "aud": "us", "sub": "alice", "email": "a@example.org", "exp": NOW + 300, "iat": NOW + 20,
    "auth_time": NOW + 10, "nonce": "number", "acr": "mfa", "roles": ["staff"], "sid": "s1",
}  # fmt: skip


def session(provider: ProviderSettings = STRONG, **claims: Any) -> Session:
    told = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return session_of(told, ISSUER, provider, TOKENS, LOGIN, NOW + 30)


def test_what_the_provider_is_asked_for() -> None:
    told = asked(STRONG, LOGIN, "sealed")
    assert told["code_challenge"] == challenge(LOGIN.verifier) and LOGIN.verifier not in urlencode(told)
    assert (told["max_age"], told["acr_values"], told["code_challenge_method"]) == ("0", "phr mfa", "S256")
    assert (told["state"], told["nonce"], told["scope"], told["response_type"]) == (
        "sealed",
        "number",
        "openid",
        "code",
    )
    assert "acr_values" not in asked(PROVIDER, LOGIN, "sealed")


def test_the_challenge_is_that_of_the_standard() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_login_comes_back_to_its_browser_and_device_within_its_time() -> None:
    state = LOGIN.sealed(SEAL, b"n" * 12)
    assert read_login(SEAL, state, "cookie", "device", NOW + HOLDS_S - 1) == LOGIN
    form = SEAL.close("form", ["/", "device", NOW], b"n" * 12)
    short = SEAL.close("login", ["/", "device", NOW], b"n" * 12)
    wrong: list[tuple[str, str, str, float]] = [
        (state, "cookie", "device", NOW + HOLDS_S), (state, "cookie", "device", NOW - 61),
        (state, "cookie", "other", NOW), (state, "other", "device", NOW), (state, "", "device", NOW),
        (state[:-4] + "AAAA", "cookie", "device", NOW), ("", "cookie", "device", NOW),
        (form, "cookie", "device", NOW), (short, "cookie", "device", NOW),
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(CredentialError):
            read_login(SEAL, *arguments)


def test_the_longest_way_back_fits_into_a_state() -> None:
    long = begin_login("/" + "x" * 2_000, "d" * 24, "v" * 43, "c" * 43, "n" * 43, NOW)
    assert len(long.sealed(SEAL, b"n" * 12)) <= MAX_TEXT
    assert begin_login("//evil.example", "d", "v", "c", "n", NOW).target == "/"


def test_what_the_provider_answers() -> None:
    assert code_of({"code": "c", "state": "s"}, ISSUER) == code_of({"code": "c", "iss": ISSUER}, ISSUER) == "c"
    for answer in ({}, {"error": "access_denied"}, {"code": ""}, {"code": "c", "iss": "https://evil.example"}):
        with pytest.raises(CredentialError):
            code_of(answer, ISSUER)


def test_a_session_of_a_login() -> None:
    found = session()
    assert (found.name, found.proof, found.groups, found.id) == ("alice", "token", ("staff",), "s1")
    assert (found.began_s, found.stepped_up_s, found.device) == (NOW + 30, NOW + 30, "device")
    assert session(PROVIDER, acr=None).name == "alice"
    assert session(aud=["us", "them"], azp="us").aliases == ("a@example.org",)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "them"}, "token-audience"),
        ({"aud": ["us", "them"], "azp": "them"}, "token-issuer"),
        ({"iss": "https://evil.example"}, "token-issuer"),
        ({"exp": NOW - 120}, "token-expired"),
        ({"exp": None}, "token-endless"),
        ({"nonce": "another"}, "login"),
        ({"nonce": None}, "login"),
        ({"acr": "pwd"}, "login-weak"),
        ({"acr": None}, "login-weak"),
        ({"auth_time": None}, "login-weak"),
        ({"auth_time": NOW - 61}, "login-weak"),
        ({"auth_time": NOW + HOLDS_S + 61}, "login-weak"),
        ({"auth_time": True}, "login-weak"),
        ({"auth_time": "now"}, "login-weak"),
        ({"sub": None}, "token-nameless"),
        ({"sub": 7}, "token-nameless"),
    ],
)
def test_tokens_that_begin_no_session(claims: dict[str, Any], code: str) -> None:
    with pytest.raises(CredentialError) as caught:
        session(**claims)
    assert caught.value.code == f"identity.{code}"
