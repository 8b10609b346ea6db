"""Values that go through a client's hands and come back as they were: sessions, return addresses, forms.

ChaCha20-Poly1305 (RFC 8439) under a key derived for this alone (HKDF, RFC 5869) and a nonce of 96 random bits that the
caller brings. Guarantees: what was changed, made for another purpose, or sealed by another key is a `CredentialError`;
nobody but us can read it. Holds nothing back from being used twice: whoever needs that remembers it.
"""

import base64
import binascii
import json
import re
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from policy.errors import CredentialError

NONCE_BYTES = 12
MAX_TEXT = 3_800
"""A browser keeps 4,096 bytes a cookie (RFC 6265, section 6.1)."""
_TEXT = re.compile(r"[A-Za-z0-9_-]{38,}")


class Seal:
    """Seals values under one key."""

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes, from which another is derived."""
        self._cipher = ChaCha20Poly1305(HKDF(SHA256(), 32, None, b"ostiary client values 1").derive(key))

    def close(self, purpose: str, value: Any, nonce: bytes) -> str:
        """Return a JSON value (hence Any) sealed for a purpose, in base64url; raise `CredentialError` if too long."""
        plain = json.dumps(value, separators=(",", ":")).encode()
        sealed = nonce + self._cipher.encrypt(nonce, plain, purpose.encode())
        text = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        if len(text) > MAX_TEXT:
            raise CredentialError("identity.seal-size", "there is too much to seal")
        return text

    def open(self, purpose: str, text: str) -> Any:
        """Return the value (JSON, hence Any) that was sealed for a purpose; raise `CredentialError`."""
        if len(text) > MAX_TEXT or not _TEXT.fullmatch(text):
            raise CredentialError("identity.seal", "not a sealed value")
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
                raise CredentialError("identity.seal", "not a sealed value")  # one value has one spelling
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode())
            return json.loads(plain)
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise CredentialError("identity.seal", "a sealed value was changed, or is of another key") from error
