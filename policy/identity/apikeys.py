"""API keys: 256 random bits each, of which only the SHA-256 is kept.

Guarantees: a text that is no key of ours is nobody; digests are looked up and then compared in constant time, which
tells nothing since nobody can choose a digest. Without salt or stretching: nobody guesses 256 bits.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from policy.errors import CredentialError, IdentityError
from policy.identity.values import Proven
from policy.settings import KeySettings

PREFIX = "ostk_"
_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not."""

    name: str
    sha256: str
    groups: tuple[str, ...] = ()


def digest(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def keys_of(settings: Mapping[str, KeySettings]) -> Iterator[ApiKey]:
    """Yield the keys that the settings name; raise `IdentityError`."""
    for name, key in settings.items():
        for text in key.sha256:
            if not _DIGEST.fullmatch(text):
                raise IdentityError(f"identity.keys.{name}: sha256 takes digests of 64 hexadecimal digits, not keys")
            yield ApiKey(name, text, key.groups)


class ApiKeys:
    """Names the holders of keys."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        """Take keys; raise `IdentityError` where two names have the same."""
        self._keys: dict[str, ApiKey] = {}
        for key in keys:
            if self._keys.setdefault(key.sha256, key).name != key.name:
                raise IdentityError(f"identity.keys: {key.name} has the key of another")

    def holder(self, text: str) -> Proven:
        """Return whom a key names; raise `CredentialError`."""
        found = digest(text) if _KEY.fullmatch(text) else ""
        key = self._keys.get(found)
        if key is None or not hmac.compare_digest(key.sha256, found):
            raise CredentialError("identity.key", "the API key is none of ours")
        return Proven(key.name, "password", groups=key.groups)
