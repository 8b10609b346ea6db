"""Key sets of issuers, read again in the background.

Guarantees: nobody who decides waits for a key; a set is read every `REFRESH_S`, and sooner, but not more often than
every `RETRY_S`, where a token names a key that isn't known; what cannot be read leaves the keys that are in force; the
last set that was fetched is kept in a file, so that a start without the issuer knows it. Files are read when they
change.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from ostiary.identity.fetch import check_address, fetch
from policy.errors import IdentityError
from policy.identity.keys import KeySet

REFRESH_S = 600.0
RETRY_S = 30.0
TICK_S = 0.5


class Keyring:
    """The key set at one place."""

    def __init__(self, place: str, algorithm: str, kept: Path) -> None:
        """`kept` is the directory for the last set that was fetched. Raise `IdentityError` where a file has no keys."""
        self.place, self.keys = place, KeySet(algorithm)
        self._file = None if "://" in place else Path(place)
        self._kept = kept / f"keys-{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
        self._stamp: tuple[int, int] = (0, 0)
        self._due, self._tried = 0.0, -RETRY_S
        if self._file is not None:
            self._read_file(self._file)
        else:
            check_address(place)
            self._recall()

    async def refresh(self, now: float, say: Callable[[str], None]) -> None:
        """Read the keys again where it is time to, at `now` (s, monotonic)."""
        try:
            if self._file is not None:
                self._read_file(self._file)
            elif now >= self._due or (self.keys.wanted and now >= self._tried + RETRY_S):
                self._due, self._tried = now + REFRESH_S, now
                document = await asyncio.to_thread(fetch, self.place)
                self.keys.take(document)
                await asyncio.to_thread(self._keep, document)
        except (IdentityError, OSError) as error:
            self._due = now + RETRY_S
            say(f"the keys that are known stay in force: {self.place}: {error}")

    def _read_file(self, file: Path) -> None:
        try:
            status = file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self.keys.take(file.read_bytes())
        except OSError as error:
            raise IdentityError(f"{file}: {error.strerror or error}") from error

    def _recall(self) -> None:
        try:
            self.keys.take(self._kept.read_bytes())
        except (OSError, IdentityError):
            return  # there is none yet: it is fetched

    def _keep(self, document: bytes) -> None:
        fresh = self._kept.with_suffix(".new")
        fresh.write_bytes(document)
        fresh.replace(self._kept)


async def refresh_all(rings: Callable[[], list[Keyring]], say: Callable[[str], None]) -> None:
    """Keep key sets fresh until cancelled; `rings` returns those of the settings in force."""
    while True:
        now = time.monotonic()
        await asyncio.gather(*(ring.refresh(now, say) for ring in rings()))
        await asyncio.sleep(TICK_S)
