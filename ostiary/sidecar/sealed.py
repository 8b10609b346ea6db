"""Files that only holders of a key can read or could have written: a gate's snapshot and its spilled records.

Chunks under ChaCha20-Poly1305 (RFC 8439) in the STREAM construction (Hoang et al. 2015): a key of its own for each file
(HKDF, RFC 5869, over a random salt), the nonce is the chunk's number and whether it is the last. Guarantees: a file
that was changed, cut, or put together from others is a `SealError`; a write is whole or not there.
"""

import contextlib
import os
import secrets
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.errors import OstiaryError

MAGIC = b"ostiary sealed 1\n"
MAX_CHUNK = 80 << 20
_SALT, _TAG = 16, 16
_SIZE = struct.Struct(">I")
KEY_BYTES = 32


class SealError(OstiaryError):
    """A sealed file that cannot be read, was changed, or is of another key."""

    code = "gate.seal"


def open_key(path: Path) -> bytes:
    """Return the key in a file, which is made (mode 0600) where there is none; raise `SealError`."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise SealError(f"{path}: {error.strerror or error}") from error
    if len(key) != KEY_BYTES:
        raise SealError(f"{path} holds no key")
    return key


def _make_key(path: Path) -> None:
    """Make a key that is whole as soon as it is there, and that only one process makes; raise OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another one was faster
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)


class Sealing:
    """A sealed file being written; it is there under its name once `close` returned, and never in part."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Begin to write; raise OSError."""
        self._path, self._number = path, 0
        self._held: bytes | None = None
        salt = secrets.token_bytes(_SALT)
        self._cipher = _cipher(key, salt)
        self._partial = path.with_name(f".{path.name}.partial")  # one name, so that the killed leave one file
        self._file = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._file.write(MAGIC + salt)

    def put(self, chunk: bytes) -> None:
        """Write a chunk of 1 to `MAX_CHUNK` bytes; raise OSError."""
        if self._held is not None:
            self._write(self._held, last=False)
        self._held = chunk

    def close(self) -> None:
        """Finish the file and give it its name; raise OSError."""
        self._write(self._held or b"", last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)

    def abandon(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):  # what it still held in memory finds no room
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def _write(self, chunk: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), chunk, None)
        self._number += 1
        self._file.write(_SIZE.pack(len(sealed)) + sealed)


def write_sealed(path: Path, key: bytes, chunks: Iterable[bytes]) -> None:
    """Write a file, whole or not at all; raise OSError."""
    sealing = Sealing(path, key)
    try:
        for chunk in chunks:
            sealing.put(chunk)
        sealing.close()
    except BaseException:
        sealing.abandon()
        raise


def read_sealed(path: Path, key: bytes) -> Iterator[bytes]:
    """Yield the chunks of a file; raise `SealError`. Each chunk is whole when it comes, the file only at the end."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise SealError(f"{path} is no sealed file")
            cipher, number, last = _cipher(key, file.read(_SALT)), 0, False
            while not last:
                head = file.read(_SIZE.size)
                size = _SIZE.unpack(head)[0] if len(head) == _SIZE.size else -1
                if not _TAG <= size <= MAX_CHUNK + _TAG:
                    raise SealError(f"{path} was cut or changed")
                chunk, last = _opened(path, cipher, number, file.read(size))
                number += 1
                yield chunk
            if file.read(1):
                raise SealError(f"{path} goes on after its end")
    except OSError as error:
        raise SealError(f"{path}: {error.strerror or error}") from error


def _opened(path: Path, cipher: ChaCha20Poly1305, number: int, sealed: bytes) -> tuple[bytes, bool]:
    for last in (False, True):
        try:
            return cipher.decrypt(_nonce(number, last=last), sealed, None), last
        except InvalidTag:
            continue
    raise SealError(f"{path} was changed, or is of another key")


def _cipher(key: bytes, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), KEY_BYTES, salt, b"ostiary sealed").derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")
