"""Tokens: what proves somebody, and everything that RFC 8725 warns of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.util import int_to_base64

from policy.errors import CredentialError, IdentityError
from policy.identity import tokens as module
from policy.identity.keys import KeySet
from policy.identity.tokens import Tokens
from policy.settings import IssuerSettings

NOW = 1_790_000_000.0
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "identity" / "tokens.json").read_text())
ISSUER = "https://id.example"
Make = Callable[..., str]


def issuers(keys: KeySet, **settings: Any) -> Tokens:
    return Tokens({ISSUER: (IssuerSettings(keys="", audience="ostiary", algorithm="ES256", **settings), keys)})


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["what"])
def test_each_case(case: dict[str, Any], keys: KeySet, make: Make) -> None:
    header, claims = VECTORS["header"] | case.get("header", {}), VECTORS["claims"] | case.get("claims", {})
    token = make(header, claims, case.get("sign", ""), case.get("payload", ""))
    if case["code"] is None:
        assert issuers(keys).holder(token, NOW).name == "alice"
        return
    with pytest.raises(CredentialError) as caught:
        issuers(keys).holder(token, NOW)
    assert caught.value.code == case["code"]
    assert token.split(".")[1] not in str(caught.value)


def good(make: Make, **claims: Any) -> str:
    return make(VECTORS["header"], VECTORS["claims"] | claims)


def test_who_is_named_and_how(keys: KeySet, make: Make) -> None:
    told = {"email": "a@example.org", "groups": ["staff", 7, "ops"], "sid": "s1", "auth_time": "-600", "acr": "mfa",
            "device_id": "laptop", "device_compliant": True, "name": "Alice"}  # fmt: skip
    found = issuers(keys, strong=("mfa",), name_claim="email").holder(good(make, **told), NOW)
    assert (found.name, found.proof, found.aliases) == ("a@example.org", "token", ("alice",))
    assert (found.groups, found.session, found.device, found.compliant) == (("staff", "ops"), "s1", "laptop", True)
    assert (found.issued_s, found.began_s, found.stepped_up_s) == (int(NOW), int(NOW) - 600, int(NOW) - 600)
    assert issuers(keys).holder(good(make, **told), NOW).stepped_up_s is None


def test_a_verified_token_is_known_until_it_ends(keys: KeySet, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    real = module.verified_claims
    monkeypatch.setattr(module, "verified_claims", lambda *given: (verified.append(1), real(*given))[1])
    names, token = issuers(keys), good(make)
    assert all(names.holder(token, NOW + second).name == "alice" for second in range(300))
    assert len(verified) == 1
    with pytest.raises(CredentialError, match="expired"):
        names.holder(token, NOW + 300 + 60)


def test_a_refused_token_is_refused_again_without_work_but_not_for_long(
    keys: KeySet, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, token = issuers(keys), good(make, nbf="+61")
    for now, calls in ((NOW, 1), (NOW + 0.5, 1), (NOW + 0.9, 1)):
        with pytest.raises(CredentialError, match="hold yet"):
            names.holder(token, now)
        assert calls == 1
    monkeypatch.setattr(module, "verified_claims", lambda *_: pytest.fail("it was looked at again"))
    with pytest.raises(CredentialError, match="hold yet") as first:
        names.holder(token, NOW + 0.9)
    assert len(first.traceback) < 4
    monkeypatch.undo()
    assert names.holder(token, NOW + 1.5).name == "alice"


def test_tables_are_bounded(keys: KeySet, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED", 4)
    monkeypatch.setattr(module, "REFUSED", 3)
    names = issuers(keys)
    for number in range(10):
        names.holder(good(make, jti=str(number)), NOW)
        with pytest.raises(CredentialError):
            names.holder(good(make, exp="-500", jti=str(number)), NOW)
    assert (len(names._held), len(names._refused)) == (4, 3)


def test_a_key_that_is_taken_back_ends_what_it_signed(keys: KeySet, make: Make) -> None:
    names, token = issuers(keys), good(make)
    assert names.holder(token, NOW).name == "alice"
    other = ECKey.generate_key("P-256", {"kid": "two"})
    keys.take(json.dumps({"keys": [other.as_dict(private=False)]}).encode())
    with pytest.raises(CredentialError) as caught:
        names.holder(token, NOW)
    assert caught.value.code == "identity.token-key"
    assert keys.wanted


def test_an_unknown_key_is_asked_for_and_counts_once_it_is_there(signer: ECKey, make: Make) -> None:
    keys = KeySet("ES256")
    names, token = issuers(keys), good(make)
    with pytest.raises(CredentialError):
        names.holder(token, NOW)
    assert keys.wanted
    keys.take(json.dumps({"keys": [signer.as_dict(private=False)]}).encode())
    assert not keys.wanted
    assert names.holder(token, NOW + 2).name == "alice"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_keys_of_another_kind_are_left_out(algorithm: str, signer: ECKey) -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"})
    number = int_to_base64(generate_private_key(65537, 1024).public_key().public_numbers().n)
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": "AAAA" * 60 + number}
    secret = OctKey.generate_key(256, {"kid": "secret"})
    public = rsa.as_dict(private=False)
    others = [{**public, "use": "enc", "kid": "enc"}, {**public, "alg": "RS512", "kid": "other"}]
    none = [rsa.as_dict(private=True, kid="private"), {"kty": "RSA", "kid": "broken"}, weak, secret.as_dict(), 7]
    rows = [public, signer.as_dict(private=False), *others, *none]
    keys = KeySet(algorithm)
    if algorithm in ("ES384", "EdDSA"):
        with pytest.raises(IdentityError, match="no public key"):
            keys.take(json.dumps({"keys": rows}).encode())
        return
    keys.take(json.dumps({"keys": rows}).encode())
    wanted = "one" if algorithm == "ES256" else "rsa"
    assert (len(keys), keys.find(wanted) is not None) == (1, True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"keys": 5}', '{"keys": []}', "[" * 5000, "x" * (1 << 21)])
def test_a_set_that_is_none_changes_nothing(text: str, keys: KeySet) -> None:
    before = keys.generation
    with pytest.raises(IdentityError):
        keys.take(text.encode())
    assert (keys.generation, len(keys)) == (before, 1)


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_whatever_comes_is_a_typed_error(text: str) -> None:
    with pytest.raises(CredentialError):
        issuers(KeySet("ES256")).holder(text, NOW)
