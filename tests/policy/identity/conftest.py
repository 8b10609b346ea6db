"""Issuers, keys and tokens made on the spot."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from policy.identity.keys import KeySet

NOW = 1_790_000_000.0
Make = Callable[..., str]


@pytest.fixture(scope="session")
def vectors() -> Path:
    return Path(__file__).parents[2] / "vectors" / "identity"


@pytest.fixture(scope="session")
def signer() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "one"})


@pytest.fixture
def keys(signer: ECKey) -> KeySet:
    found = KeySet("ES256")
    found.take(json.dumps({"keys": [signer.as_dict(private=False)]}).encode())
    return found


@pytest.fixture(scope="session")
def make(signer: ECKey) -> Make:
    """Return what makes a token out of a header and claims; "+60" as a claim means in a minute."""
    stranger, rsa = ECKey.generate_key("P-256", {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})

    def token(header: Mapping[str, Any], claims: Mapping[str, Any], sign: str = "", payload: str = "") -> str:
        text = payload or json.dumps({name: _when(name, value) for name, value in claims.items() if value is not None})
        head = {name: value for name, value in header.items() if value is not None}
        signed = f"{_encode(json.dumps(head).encode())}.{_encode(text.encode())}"
        if sign == "nothing":
            return f"{signed}."
        if sign == "hmac":
            secret = signer.as_pem(private=False)
            return f"{signed}.{_encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
        if sign == "rsa":
            return jws.serialize_compact(head, text, rsa, algorithms=["RS256"])
        plain = {"alg": "ES256"}
        key = stranger if sign == "stranger" else signer
        model = jws.JWSRegistry(algorithms=["ES256"]).get_alg(plain["alg"])
        return f"{signed}.{_encode(model.sign(signed.encode(), key))}"

    return token


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _when(name: str, value: Any) -> Any:
    if name in ("exp", "iat", "nbf", "auth_time") and isinstance(value, str) and value.lstrip("+-").isdigit():
        return int(NOW) + int(value)
    return value
