"""Where a browser goes back to after a step-up: a place on the same host, and nowhere else.

Guarantees: what could lead to another host however a browser reads it (a scheme, two slashes, a backslash, a control
character) becomes `/` (CWE-601); the sealed form holds for `HOLDS_S` and says what was asked for, so that nobody can
send a user through the page to a place of their choosing.
"""

import re

from policy.errors import CredentialError
from policy.identity.seals import Seal

HOLDS_S = 900
MAX_BYTES = 2_048
PURPOSE = "return"
_SAFE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def safe_target(text: str) -> str:
    """Return path and query if they can only lead to the same host, else `/`."""
    return text if len(text) <= MAX_BYTES and _SAFE.fullmatch(text) else "/"


def sealed_return(seal: Seal, target: str, now_s: float, nonce: bytes) -> str:
    """Return a target as the step-up page takes it."""
    return seal.close(PURPOSE, [safe_target(target), int(now_s)], nonce)


def opened_return(seal: Seal, text: str, now_s: float) -> str:
    """Return the target of a sealed return address; raise `CredentialError`."""
    target, at_s = seal.open(PURPOSE, text)
    if not -60 <= now_s - at_s < HOLDS_S:
        raise CredentialError("identity.return-old", "the return address is too old")
    return safe_target(str(target))
