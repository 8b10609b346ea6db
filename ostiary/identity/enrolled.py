"""Who may prove themselves by what we gave them: API keys, and secrets of one-time codes, in one sealed file.

Guarantees: of an API key only its digest is kept; the secrets of codes, which have to be kept, are sealed by the gate's
key; the file is replaced whole, by one process at a time. A gate takes a change in within a second.
"""

import base64
import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ostiary.errors import OstiaryError
from ostiary.identity.files import shared_mode
from ostiary.sidecar.sealed import read_sealed, write_sealed
from policy.identity import totp
from policy.identity.apikeys import PREFIX, ApiKey, digest

FILE = "enrolled"
_NAME = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,254}[^\x00-\x20\x7f])?")


class EnrolledError(OstiaryError):
    """A name that cannot be used, or is unknown."""

    code = "identity.enrolled"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the file holds."""

    keys: tuple[ApiKey, ...] = ()
    codes: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    """Secret, and when it was made (seconds since the epoch), by name."""

    def new_key(self, name: str, groups: tuple[str, ...], now_s: int) -> tuple["Enrolled", str]:
        """Return with a first key for a name, and the key; raise `EnrolledError`."""
        if any(key.name == _checked(name) and not 0 < key.until_s <= now_s for key in self.keys):
            raise EnrolledError(f"{name!r} has a key already: `ostiary identity key rotate` gives another")
        text = PREFIX + secrets.token_urlsafe(32)
        made = ApiKey(name, digest(text), now_s, now_s, groups=groups)
        return replace(self, keys=(*(key for key in self.keys if key.name != name), made)), text

    def rotated(self, name: str, grace_s: int, now_s: int) -> tuple["Enrolled", str]:
        """Return with another key for a name, the present one going on for `grace_s`; raise `EnrolledError`."""
        present = [key for key in self.keys if key.name == name and not key.until_s]
        if not present:
            raise EnrolledError(f"{name!r} has no key")
        text = PREFIX + secrets.token_urlsafe(32)
        fresh = replace(present[0], sha256=digest(text), rotated_s=now_s)
        left = tuple(
            replace(key, until_s=now_s + grace_s) if key in present else key
            for key in self.keys
            if not 0 < key.until_s <= now_s
        )
        return replace(self, keys=(*left, fresh)), text

    def without_key(self, name: str) -> "Enrolled":
        """Return without the keys of a name; raise `EnrolledError`."""
        if all(key.name != name for key in self.keys):
            raise EnrolledError(f"{name!r} has no key")
        return replace(self, keys=tuple(key for key in self.keys if key.name != name))

    def with_codes(self, name: str, now_s: int) -> tuple["Enrolled", bytes]:
        """Return with a fresh secret for a name's one-time codes, in the place of another, and the secret."""
        secret = secrets.token_bytes(totp.SECRET_BYTES)
        return replace(self, codes={**self.codes, _checked(name): (secret, now_s)}), secret

    def without_codes(self, name: str) -> "Enrolled":
        """Return without a name's one-time codes; raise `EnrolledError`."""
        if name not in self.codes:
            raise EnrolledError(f"{name!r} has no one-time codes")
        return replace(self, codes={other: code for other, code in self.codes.items() if other != name})


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise EnrolledError(
            "a name has 1 to 256 characters, none of them a control character, and no space at its ends"
        )
    return name


def read_enrolled(path: Path, key: bytes) -> Enrolled:
    """Return what a file holds, nothing where there is none; raise `SealError`."""
    if not path.exists():
        return Enrolled()
    told = json.loads(b"".join(read_sealed(path, key)))
    keys = tuple(ApiKey(**{**row, "groups": tuple(row["groups"])}) for row in told["keys"])
    return Enrolled(keys, {name: (base64.b64decode(secret), at_s) for name, (secret, at_s) in told["codes"].items()})


@contextlib.contextmanager
def changing(path: Path, key: bytes) -> Iterator[list[Enrolled]]:
    """Give a list with what the file holds, and write what it then holds; raise `SealError` or OSError."""
    guard = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        shared_mode(Path(f"{path}.lock"))
        fcntl.flock(guard, fcntl.LOCK_EX)
        held = [read_enrolled(path, key)]
        yield held
        keys = [asdict(item) for item in held[0].keys]
        codes = {name: (base64.b64encode(secret).decode(), at_s) for name, (secret, at_s) in held[0].codes.items()}
        write_sealed(path, key, [json.dumps({"keys": keys, "codes": codes}).encode()])
        shared_mode(path)
    finally:
        os.close(guard)
