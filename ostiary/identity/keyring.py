"""The key set of an issuer, read again in the background.

Guarantees: nobody who decides waits for a key; a set is fetched every `REFRESH_S`, and sooner, but not more often than
every `RETRY_S`, where a token names a key that isn't known; a file is read when it changes. What cannot be read leaves
the keys that are in force; the last set that was fetched is kept, so that a start without the issuer knows it.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from ostiary.identity.fetch import apart, check_address, fetch
from policy.errors import IdentityError
from policy.identity.keys import KeySet

REFRESH_S = 600.0
RETRY_S = 30.0


class Keyring:
    """The key set at one place."""

    def __init__(self, place: str, algorithm: str, directory: Path) -> None:
        """`directory` takes the last set that was fetched. Raise `IdentityError` where a file holds no keys."""
        self.place, self.keys = place, KeySet(algorithm)
        self._file = None if "://" in place else Path(place)
        name = hashlib.sha256(f"{algorithm} {place}".encode()).hexdigest()[:16]
        self._kept = directory / f"keys-{name}.json"
        self._stamp = (0, 0)
        self._due, self._tried = 0.0, -RETRY_S
        if self._file is not None:
            self._read(self._file)
        else:
            check_address(place)
            self._recall()

    async def refresh(self, now: float, say: Callable[[str], None]) -> None:
        """Read the keys again where it is time to, at `now` (s, monotonic)."""
        try:
            if self._file is not None:
                file = self._file
                await apart(lambda: self._read(file))
            elif now >= self._due or (self.keys.wanted and now >= self._tried + RETRY_S):
                self._due, self._tried = now + REFRESH_S, now
                await apart(self._fetch)
        except (IdentityError, OSError) as error:
            self._due = now + RETRY_S
            say(f"the {len(self.keys)} keys that are known stay in force: {self.place}: {error}")

    def _read(self, file: Path) -> None:
        try:
            status = file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            document = file.read_bytes()
        except OSError as error:
            gone, self._stamp = self._stamp, (-1, 0)
            if gone == (-1, 0):
                return  # it was told
            raise IdentityError(f"{file}: {error.strerror or error}") from error
        self._stamp = stamp
        self.keys.take(document)

    def _fetch(self) -> None:
        document = fetch(self.place)
        self.keys.take(document)
        fresh = self._kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(document)
        fresh.replace(self._kept)

    def _recall(self) -> None:
        try:
            self.keys.take(self._kept.read_bytes())
        except (OSError, IdentityError):
            return  # there is none yet: it is fetched
