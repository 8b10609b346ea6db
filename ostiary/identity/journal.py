"""Signals in a file that all processes of a gate share: what one hears, the others know, and so does the next start.

Records are appended under a lock (flock(2)), each sealed by itself (ChaCha20-Poly1305, the key derived by HKDF).
Guarantees: what `change` took is durable when it returns, and was decided on everything that was there before; a record
that was cut by a crash is taken away before the next is written; one that was changed is left out and counted; the file
is written anew from what still counts when it has `MAX_BYTES`. Names of people stand in it: nobody without the gate's
key can read them. Waits for the disk and for other processes, so it belongs to a thread that nobody waits for.
"""

import contextlib
import fcntl
import json
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.identity.files import shared_mode
from policy.identity.events import MAX_AGE_S
from policy.identity.signals import GUESS_DAY_S, Signals
from policy.identity.values import Signal, SignalKind

MAX_BYTES = 16 << 20
MAX_RECORD = 8_192
COUNTS_S = {SignalKind.GUESSED: GUESS_DAY_S, SignalKind.USED: 3_600, SignalKind.SEEN: MAX_AGE_S + 3_600}
"""Kinds that say what was done here already, and for how long they count; the others say what became known."""
_SIZE = struct.Struct(">I")
_NONCE = 12


class Journal:
    """Reads what others write, and writes what others read."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._cipher = ChaCha20Poly1305(HKDF(SHA256(), 32, None, b"ostiary signals 1").derive(key))
        self._file: FileIO | None = None
        """Kept open, so that no other file gets its number (inode)."""
        self._offset = 0
        self._marks = Signals()
        self.broken = 0
        """Records that were changed, or cut."""

    def poll(self) -> list[Signal]:
        """Return what became known since; costs one stat(2) where nothing was written. Raise OSError."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return []
        if self._file is None or os.fstat(self._file.fileno()).st_ino != status.st_ino:
            if self._file is not None:
                self._file.close()
            self._file, self._offset, self._marks = FileIO(self._path), 0, Signals()
        if status.st_size <= self._offset:
            return []
        known = []
        data = os.pread(self._file.fileno(), status.st_size - self._offset, self._offset)
        self._offset += _whole(data)
        for signal in self._read(data):
            if signal.kind in COUNTS_S:
                self._marks.take(signal)
            else:
                known.append(signal)
        return known

    def change(self, decide: Callable[[Signals], Iterable[Signal]]) -> list[Signal]:
        """Make durable what `decide` wants to add to what was done already; return what became known. Raise OSError."""
        with self._locked():
            known = self.poll()
            added = list(decide(self._marks))
            if added:
                self._append(added)
            return known + self.poll()

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        path = Path(f"{self._path}.lock")
        guard = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            shared_mode(path)
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)

    def _append(self, signals: Iterable[Signal]) -> None:
        with self._path.open("ab") as file:
            shared_mode(self._path)
            if file.tell() > self._offset:  # everything up to there was read under the lock
                self.broken += 1
                file.truncate(self._offset)
            for signal in signals:
                file.write(self._sealed(signal))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if size > MAX_BYTES:
            self._write_anew()

    def _read(self, data: bytes) -> Iterator[Signal]:
        for sealed in _records(data):
            try:
                kind, about, at_s, value = json.loads(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None))
                yield Signal(SignalKind(kind), about, at_s, value)
            except (InvalidTag, ValueError, TypeError):
                self.broken += 1

    def _sealed(self, signal: Signal) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        plain = json.dumps([signal.kind.value, signal.about, signal.at_s, signal.value]).encode()
        sealed = nonce + self._cipher.encrypt(nonce, plain, None)
        return _SIZE.pack(len(sealed)) + sealed if len(sealed) <= MAX_RECORD else b""

    def _write_anew(self) -> None:
        """Write the file anew from what still counts; for want of room what was done goes before what is known."""
        kept, now_s = Signals(), time.time()
        for signal in self._read(self._path.read_bytes()):
            if signal.at_s >= now_s - COUNTS_S.get(signal.kind, now_s):
                kept.take(signal)
        order = sorted(kept.all(), key=lambda signal: (signal.kind not in COUNTS_S, signal.at_s))
        lines = [self._sealed(signal) for signal in order]
        while sum(map(len, lines)) > MAX_BYTES // 2:
            del lines[: len(lines) // 4]
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with fresh.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        shared_mode(fresh)
        fresh.replace(self._path)


def _records(data: bytes) -> Iterator[bytes]:
    """Yield whole records; what is cut, or none, ends it."""
    at = 0
    while at + _SIZE.size <= len(data):
        (size,) = _SIZE.unpack_from(data, at)
        begin = at + _SIZE.size
        at = begin + size
        if not _NONCE < size <= MAX_RECORD or at > len(data):
            return
        yield data[begin:at]


def _whole(data: bytes) -> int:
    """Return how many bytes hold whole records."""
    return sum(_SIZE.size + len(record) for record in _records(data))
