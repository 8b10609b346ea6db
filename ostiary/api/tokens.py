"""Tokens of the API: 256 random bits each, of which only the SHA-256 is kept.

Guarantees: the file has mode 0600 and is replaced whole and flushed; a text that is not a token of ours, or a revoked
one, is nobody; comparisons take the same time wherever texts differ; what another process grants or revokes counts from
the next request on. A hash without salt or stretching suffices, since nobody can guess 256 random bits.
"""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ostiary.api.access import Role
from ostiary.api.errors import TokenFileError, TokenNameError

PREFIX = "ost_"
FIRST_NAME = "first-admin"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of one token; the token itself is not."""

    name: str
    """Whose it is or what for; it is written into audit entries as the actor."""
    roles: tuple[Role, ...]
    sha256: str
    created_ns: int
    """Wall clock."""
    revoked_ns: int = 0
    """Wall clock; 0 while it is good."""


class Tokens:
    """The tokens in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._records: tuple[TokenRecord, ...] = ()

    def create_first(self, secret: Path, now_ns: int) -> bool:
        """Write a first admin token, with all roles, to `secret` (0600) if there has never been any token.

        Return whether it was written; raise `TokenFileError`, also where `secret` exists already.
        """
        with self._changing() as records:
            if records:
                return False
            token, record = _issue(FIRST_NAME, Role, now_ns)
            try:
                handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise TokenFileError(f"{secret} cannot be written: {error.strerror}; move it away") from error
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(token + "\n")
            records.append(record)
        return True

    def create(self, name: str, roles: Iterable[Role], now_ns: int) -> str:
        """Make a token and return it: the only moment at which it can be seen; raise `TokenNameError`."""
        if not _NAME.fullmatch(name):
            raise TokenNameError("a token's name has 1 to 64 letters, digits, dots, dashes, underscores or @")
        with self._changing() as records:
            if any(record.name == name for record in records):
                raise TokenNameError(f"there is a token {name!r} already (a revoked name is not used again)")
            token, record = _issue(name, roles, now_ns)
            records.append(record)
        return token

    def revoke(self, name: str, now_ns: int) -> None:
        """Make a token worthless from now on; revoking it again changes nothing; raise `TokenNameError`."""
        with self._changing() as records:
            for index, record in enumerate(records):
                if record.name == name:
                    records[index] = replace(record, revoked_ns=record.revoked_ns or now_ns)
                    return
            raise TokenNameError(f"there is no token {name!r}")

    def records(self) -> tuple[TokenRecord, ...]:
        """Return all tokens, revoked ones too, oldest first; raise `TokenFileError`."""
        self._refresh()
        return self._records

    def authenticate(self, token: str) -> TokenRecord | None:
        """Return whose token it is, None for a revoked or unknown one; raise `TokenFileError`."""
        self._refresh()
        if not _TOKEN.fullmatch(token):
            return None
        digest = _digest(token)
        found = None
        for record in self._records:
            if hmac.compare_digest(record.sha256, digest):
                found = record
        return None if found is None or found.revoked_ns else found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._records = (), ()
            return
        except OSError as error:
            raise TokenFileError(f"{self._path} cannot be read: {error.strerror}") from error
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._records = _read(self._path)
            self._stamp = stamp

    @contextmanager
    def _changing(self) -> Iterator[list[TokenRecord]]:
        """Give the records to change, alone among all processes, and write them afterwards if they changed."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            guard = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TokenFileError(f"{self._path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            before = list(self.records())
            records = list(before)
            yield records
            if records != before:
                _write(self._path, records)
        finally:
            os.close(guard)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _issue(name: str, roles: Iterable[Role], now_ns: int) -> tuple[str, TokenRecord]:
    token = PREFIX + secrets.token_urlsafe(32)
    held = tuple(role for role in Role if role in set(roles))
    if not held:
        raise TokenNameError(f"token {name!r} needs a role: {', '.join(Role)}")
    return token, TokenRecord(name, held, _digest(token), now_ns)


def _read(path: Path) -> tuple[TokenRecord, ...]:
    try:
        status = path.stat()
        if status.st_mode & 0o077:
            raise TokenFileError(f"{path} may be read by others; `chmod 600 {path}` and make new tokens")
        entries = json.loads(path.read_text("utf-8"))["tokens"]
        return tuple(
            TokenRecord(
                str(entry["name"]), tuple(Role(role) for role in entry["roles"]), str(entry["sha256"]),
                int(entry["created_ns"]), int(entry["revoked_ns"]),
            )
            for entry in entries
        )  # fmt: skip
    except OSError as error:
        raise TokenFileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenFileError(f"{path} is damaged; move it away and make new tokens") from error


def _write(path: Path, records: Iterable[TokenRecord]) -> None:
    text = json.dumps({"tokens": [asdict(record) for record in records]}, indent=1)
    fresh = Path(f"{path}.new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(handle)
        fresh.replace(path)
    except OSError as error:
        raise TokenFileError(f"{path} cannot be written: {error.strerror}") from error
