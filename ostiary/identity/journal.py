"""Signals in a file that all processes of a gate share: what one hears, the others know, and so does the next start.

Records are appended under a lock, each sealed by itself (ChaCha20-Poly1305, the key derived by HKDF). Guarantees: what
`write` took is durable when it returns; a record that was cut by a crash is taken away before the next is written; one
that was changed is left out and counted; the file is written anew from what still counts when it has `MAX_BYTES`.
Names of people stand in it: nobody without the gate's key can read them.
"""

import contextlib
import fcntl
import json
import os
import secrets
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.identity.files import shared_mode
from policy.identity.signals import Signals
from policy.identity.values import Signal, SignalKind

MAX_BYTES = 16 << 20
MAX_RECORD = 4_096
_SIZE = struct.Struct(">I")
_NONCE = 12


class Journal:
    """Reads what others write, and writes what others read."""

    def __init__(self, path: Path, key: bytes, signals: Signals) -> None:
        self._path, self._signals = path, signals
        self._cipher = ChaCha20Poly1305(HKDF(SHA256(), 32, None, b"ostiary signals 1").derive(key))
        self._inode, self._offset = 0, 0
        self.broken = 0
        """Records that were changed."""

    def poll(self) -> list[Signal]:
        """Take in and return what was written since; costs one stat(2) where nothing was. Raise OSError."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return []
        if status.st_ino != self._inode:
            self._inode, self._offset = status.st_ino, 0
        if status.st_size <= self._offset:
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            found = list(self._read(file))
        for signal in found:
            self._signals.take(signal)
        return found

    def write(self, signals: Iterable[Signal]) -> None:
        """Make signals durable, for every process to `poll`; raise OSError."""
        with self.locked():
            self.append(signals)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else write meanwhile: for what is looked up first and then written."""
        guard = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            shared_mode(Path(f"{self._path}.lock"))
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)

    def append(self, signals: Iterable[Signal]) -> None:
        """Do what `write` does, where the lock is held already."""
        with self._path.open("ab") as file:
            shared_mode(self._path)
            self._cut(file)
            for signal in signals:
                file.write(self._sealed(signal))
            file.flush()
            os.fdatasync(file.fileno())
            size = file.tell()
        if size > MAX_BYTES:
            self._anew()

    def _read(self, file: BinaryIO) -> Iterator[Signal]:
        while True:
            head = file.read(_SIZE.size)
            size = _SIZE.unpack(head)[0] if len(head) == _SIZE.size else 0
            sealed = file.read(size) if 0 < size <= MAX_RECORD else b""
            if not size or len(sealed) < size:
                return  # cut, or being written
            self._offset += _SIZE.size + size
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

    def _cut(self, file: BinaryIO) -> None:
        """Take away what a process that died left half written."""
        size, whole = os.fstat(file.fileno()).st_size, 0
        with self._path.open("rb") as reader:
            if os.fstat(reader.fileno()).st_ino == self._inode:
                whole = self._offset
            while whole < size:
                reader.seek(whole)
                head = reader.read(_SIZE.size)
                length = _SIZE.unpack(head)[0] if len(head) == _SIZE.size else MAX_RECORD + 1
                if length > MAX_RECORD or whole + _SIZE.size + length > size:
                    file.truncate(whole)
                    break
                whole += _SIZE.size + length

    def _anew(self) -> None:
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        self.poll()
        with fresh.open("wb") as file:
            for signal in self._signals.all():
                file.write(self._sealed(signal))
            file.flush()
            os.fsync(file.fileno())
        shared_mode(fresh)
        fresh.replace(self._path)
