"""Pseudonyms: short names that stand for people and machines wherever something is stored.

Pure. Guarantees: the same entity has the same pseudonym under the same key, and without the key nobody can test a guess
(HMAC-SHA-256; a bare hash of an address is undone by trying them all). 100 bits: two of a billion entities share one
with a chance of less than 1 in 10^12. Whoever holds the key can link, so pseudonymised data stay personal data.
"""

import base64
import hmac
from dataclasses import dataclass, field

from sensors.values import Entity

LENGTH = 20
"""Base32 characters of a pseudonym, 5 bits each."""


def base32_name(prefix: str, digest: bytes) -> str:
    """Return prefix-xxxx, the head of a digest in lower-case base32."""
    return f"{prefix}-{base64.b32encode(digest[:15]).decode('ascii').lower()[:LENGTH]}"


def entity_bytes(entity: Entity) -> bytes:
    """Return the bytes that stand for an entity, different for any two."""
    return f"{entity.kind}\0{entity.id}".encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Pseudonymiser:
    """Gives pseudonyms under one key (32 secret bytes)."""

    key: bytes = field(repr=False)

    def pseudonym(self, entity: Entity) -> str:
        """Return the entity's pseudonym, such as "ip-7f3k" and sixteen more characters."""
        return base32_name(entity.kind.value, hmac.digest(self.key, entity_bytes(entity), "sha256"))
