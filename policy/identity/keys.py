"""The public keys of one issuer (JWK Set, RFC 7517), as they were last read.

Guarantees: only keys that fit the issuer's one algorithm count, and only for verifying; secrets are never taken for
public keys; a set that cannot be read leaves the one before in force; an unknown key id is asked for, and whoever
fetches keys sees that, but nobody waits for it. Pure: fetching is somebody else's.
"""

import base64
import json
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from policy.errors import IdentityError

MAX_BYTES = 1 << 20
MAX_KEYS = 100
_KINDS: dict[str, tuple[type[Key], str]] = {
    "RS256": (RSAKey, ""),
    "PS256": (RSAKey, ""),
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "EdDSA": (OKPKey, "Ed25519"),
}
MIN_RSA_BITS = 2_048


class KeySet:
    """Keys by their id."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._keys: dict[str, Key] = {}
        self.generation = 0
        """Changes with the keys."""
        self.wanted = False
        """Whether somebody asked for a key that isn't there."""

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, document: bytes) -> None:
        """Replace the keys by those of a JWK Set; raise `IdentityError` and change nothing where there is none."""
        found = {kid: key for kid, key in map(self._usable, _rows(document)) if key is not None}
        if not found:
            raise IdentityError(f"the key set has no public key for {self.algorithm}")
        if {kid: key.thumbprint() for kid, key in found.items()} != {
            kid: key.thumbprint() for kid, key in self._keys.items()
        }:
            self._keys, self.generation = found, self.generation + 1
        self.wanted = False

    def find(self, kid: str | None) -> Key | None:
        """Return the key of an id, or the only key where none is named; None (and `wanted`) where there is none."""
        key = self._keys.get(kid or "")
        if key is None and kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if key is None:
            self.wanted = True
        return key

    def _usable(self, row: Any) -> tuple[str, Key | None]:
        if not isinstance(row, dict) or row.get("use", "sig") != "sig":
            return "", None
        if row.get("alg", self.algorithm) != self.algorithm or "d" in row or "k" in row:
            return "", None
        kind, curve = _KINDS[self.algorithm]
        kid = row.get("kid", "")
        if row.get("kty") != kind.key_type or (curve and row.get("crv") != curve) or not isinstance(kid, str):
            return "", None
        try:
            if kind is RSAKey and _bits(row["n"]) < MIN_RSA_BITS:
                return "", None
            return kid, kind.import_key({name: value for name, value in row.items() if isinstance(value, str)})
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            return "", None


def _bits(number: str) -> int:
    """Return how many bits a number in base64url has."""
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4)), "big").bit_length()


def _rows(document: bytes) -> list[Any]:
    """Return the rows of a JWK Set (JSON values); raise `IdentityError`."""
    if len(document) > MAX_BYTES:
        raise IdentityError(f"the key set is longer than {MAX_BYTES} bytes")
    try:
        rows = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IdentityError("the key set is not a JWK Set") from error
    if not isinstance(rows, list) or len(rows) > MAX_KEYS:
        raise IdentityError(f"the key set is not a list of at most {MAX_KEYS} keys")
    return rows
