"""The root key of an installation, and the keys for single uses that are derived from it (HKDF, RFC 5869).

Guarantees: keys for different uses are independent; the file is readable by its owner only, and written once. Losing it
makes pseudonyms unlinkable and the vault unreadable for good. The audit log signs with a key of its own.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from compliance.errors import KeyFileError
from compliance.files import make_directory, read_secret, write_secret

SIZE = 32


@dataclass(frozen=True, slots=True)
class RootKey:
    """Thirty-two secret bytes from which the other keys come."""

    secret: bytes = field(repr=False)

    def derive(self, use: str) -> bytes:
        """Return the 32-byte key for one use, such as "pseudonyms"."""
        return HKDF(SHA256(), SIZE, salt=None, info=b"ostiary/" + use.encode()).derive(self.secret)


def open_root_key(path: Path) -> RootKey:
    """Read the root key, making it when there is none; raise `KeyFileError` where it is malformed or open to others."""
    if not path.exists():
        try:
            make_directory(path.parent)
            write_secret(path, secrets.token_hex(SIZE))
        except OSError as error:
            raise KeyFileError(f"{path}: {error}") from error
    try:
        secret = bytes.fromhex(read_secret(path))
    except ValueError:
        raise KeyFileError(f"{path} is not hexadecimal") from None
    if len(secret) != SIZE:
        raise KeyFileError(f"{path} does not hold {SIZE} bytes")
    return RootKey(secret)
