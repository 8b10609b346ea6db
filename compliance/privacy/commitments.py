"""Commitments: names for a subject in the audit log that even we cannot link any more once the opening is destroyed.

Pure. A commitment is HMAC-SHA-256 under a random 32-byte opening. Guarantees: without the opening it tells nothing, and
cannot be tested against guesses, even by whoever holds every other key; with it anybody can check that this entity, and
no other, was meant (256 bits: it binds). The opening lies in the vault, with what else is known of the subject.
"""

import base64
import hmac

from compliance.privacy.pseudonyms import entity_bytes
from sensors.values import Entity

OPENING = 32
"""Bytes of an opening, random and never used twice."""


def commit(opening: bytes, entity: Entity) -> str:
    """Return the commitment, such as "subject-7f3k" and 48 more characters."""
    digest = hmac.digest(opening, entity_bytes(entity), "sha256")
    return "subject-" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def opens(commitment: str, opening: bytes, entity: Entity) -> bool:
    """Tell whether the opening shows that the commitment meant this entity."""
    return hmac.compare_digest(commitment.encode(), commit(opening, entity).encode())
