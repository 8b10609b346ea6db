"""API keys: 256 random bits each, of which only the SHA-256 is kept.

Guarantees: a text that is no key of ours, or one that was replaced or revoked, is nobody; digests are looked up and
then compared in constant time, which tells nothing since nobody can choose a digest. A replaced key goes on for as long
as whoever rotated it said, so that callers can be changed over. Without salt or stretching: nobody guesses 256 bits.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from policy.errors import CredentialError
from policy.identity.values import Proven

PREFIX = "ostk_"
_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not."""

    name: str
    sha256: str
    created_s: int
    """When the name was given its first key."""
    rotated_s: int
    """When this key was made."""
    until_s: int = 0
    """When it ends; 0: not yet known."""
    groups: tuple[str, ...] = ()


def digest(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


class ApiKeys:
    """Names the holders of keys."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {key.sha256: key for key in keys}

    def holder(self, text: str, now_s: float) -> Proven:
        """Return whom a key names; raise `CredentialError`."""
        found = digest(text) if _KEY.fullmatch(text) else ""
        key = self._keys.get(found)
        if key is None or not hmac.compare_digest(key.sha256, found):
            raise CredentialError("identity.key", "the API key is none of ours")
        if key.until_s and now_s >= key.until_s:
            raise CredentialError("identity.key-ended", "the API key was replaced or revoked")
        return Proven(key.name, "password", groups=key.groups, issued_s=key.rotated_s)
