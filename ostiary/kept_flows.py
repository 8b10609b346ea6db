"""Keep the flows that were open when a service stopped, so that it goes on with them.

Guarantees: what is kept is encrypted and authenticated under a key of the state directory, and bound to its source's
name; it is read once, so that no state is gone on with twice; what is damaged counts as none.
"""

import os
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from compliance.keys import RootKey
from ostiary.state import make_directory

FOLDER: Final = "flows"
_NONCE: Final = 12


class KeptFlows:
    """The folder of kept flows in a state directory."""

    def __init__(self, state: Path, key: RootKey) -> None:
        self._folder = state / FOLDER
        self._cipher = AESGCM(key.derive("flows"))

    def take(self, name: str) -> bytes:
        """Return what was kept of a source, and forget it; empty where there is nothing."""
        path = self._path(name)
        try:
            sealed = path.read_bytes()
            path.unlink()
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except (OSError, InvalidTag, ValueError):
            return b""

    def keep(self, name: str, flows: bytes) -> None:
        """Keep the flows of a source; raise OSError or `StateError`."""
        make_directory(self._folder)
        nonce = secrets.token_bytes(_NONCE)
        path = self._path(name)
        new = path.with_suffix(".new")
        new.write_bytes(nonce + self._cipher.encrypt(nonce, flows, name.encode()))
        os.replace(new, path)  # noqa: PTH105 - whole or not at all

    def _path(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.flows"
