"""The secrets of one-time codes, in one sealed file in the directory of the gates.

Guarantees: nobody without the gate's key can read them; the file is replaced whole, by one process at a time; whoever
looks a secret up gets the present one.
"""

import base64
import fcntl
import json
import os
import secrets
from pathlib import Path

from ostiary.errors import OstiaryError
from ostiary.identity.files import shared_mode
from ostiary.sidecar.sealed import read_sealed, write_sealed
from policy.identity import totp

FILE = "codes"
MAX_NAME = 256


class EnrolmentError(OstiaryError):
    """A user who cannot be enrolled, or is not."""

    code = "identity.enrolment"


class Codes:
    """The secrets by user."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._path, self._key = directory / FILE, key

    def secret(self, user: str) -> bytes | None:
        """Return a user's secret; raise `SealError`."""
        text = self._read().get(user)
        return base64.b64decode(text) if text is not None else None

    def enrol(self, user: str) -> bytes:
        """Return a fresh secret for a user, in the place of another; raise `EnrolmentError`, `SealError` or OSError."""
        if not 0 < len(user) <= MAX_NAME or not user.isprintable() or user != user.strip():
            raise EnrolmentError(
                f"a user's name has 1 to {MAX_NAME} characters that can be printed, and no space around"
            )
        secret = secrets.token_bytes(totp.SECRET_BYTES)
        self._change(user, base64.b64encode(secret).decode())
        return secret

    def remove(self, user: str) -> None:
        """Forget a user; raise `EnrolmentError` where there is none, `SealError` or OSError."""
        self._change(user, None)

    def _change(self, user: str, secret: str | None) -> None:
        lock = Path(f"{self._path}.lock")
        guard = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            shared_mode(lock)
            fcntl.flock(guard, fcntl.LOCK_EX)
            held = self._read()
            if secret is None and user not in held:
                raise EnrolmentError(f"{user!r} is not enrolled")
            held = {name: text for name, text in held.items() if name != user}
            if secret is not None:
                held[user] = secret
            write_sealed(self._path, self._key, [json.dumps(held).encode()])
            shared_mode(self._path)
        finally:
            os.close(guard)

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        held: dict[str, str] = json.loads(b"".join(read_sealed(self._path, self._key)))
        return held
