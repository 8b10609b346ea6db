"""Keep packets on disk, encrypted, for some days; read them back as plain pcapng.

Guarantees: each chunk is encrypted and authenticated (AES-256-GCM) under a key of the state directory that is used for
nothing else, and bound to its file and its place in it; no more than `most` bytes are kept (the oldest file goes first)
and nothing longer than `KEPT_NS` after it was captured, by the time that the caller gives; what a crash cut off costs
its own chunk. The file's name tells when its first packet came, and nothing else. It never asks what time it is.

A file: magic, then chunks: length (4 bytes, big-endian), nonce (12 bytes), ciphertext. A chunk is a section of pcapng.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from compliance.keys import RootKey
from ostiary.errors import StateError
from ostiary.state import make_directory

FOLDER: Final = "packets"
KEPT_NS: Final = 7 * 86_400 * 1_000_000_000
MAGIC: Final = b"OSTYPKT1"
MOST_OF_FILE: Final = 16 << 20
FILE_SPAN_NS: Final = 3600 * 1_000_000_000
"""A file takes no packets that came later than this after its first one, so that what is old can go."""
LOOK_NS: Final = 60 * 1_000_000_000
"""How often it is looked for what is too old while no packets come."""
_NONCE: Final = 12


class PacketStore:
    """The kept packets of a state directory. One writer; any number of readers."""

    def __init__(self, state: Path, key: RootKey, most: int) -> None:
        self._folder = state / FOLDER
        self._cipher = AESGCM(key.derive("packets"))
        self._most = most
        self._lock = Lock()
        self._looked = 0
        self._file: Path | None = None
        self._chunks = self._began = 0
        self.lost = 0
        """Chunks that could not be written."""

    def keep(self, section: bytes, now: int) -> None:
        """Keep a section captured at `now` (ns), or none (b""); count it where the disk doesn't take it."""
        with self._lock:  # each interface has a thread of its own
            if not section and now - self._looked < LOOK_NS:
                return
            self._looked = now
            try:
                if section:
                    self._write(section, now)
                self.expire(now)
            except (OSError, StateError):
                self.lost += 1

    def expire(self, now: int) -> None:
        """Delete what is older than `KEPT_NS`, and the oldest of what is too much; raise OSError."""
        files = self._files()
        sizes = {path: path.stat().st_size for path in files}
        total = sum(sizes.values())
        for path in files:
            if total <= self._most and now - _begin_of(path) - FILE_SPAN_NS <= KEPT_NS:
                break
            path.unlink()
            total -= sizes[path]
            if path == self._file:
                self._file = None

    def sections(self, since: int = 0, until: int = 1 << 63) -> Iterator[bytes]:
        """Yield the plain sections of files that may hold packets of a stretch of time (ns), the oldest first."""
        for path in self._files():
            begin = _begin_of(path)
            if begin < until and begin + FILE_SPAN_NS >= since:
                with path.open("rb") as stream:
                    yield from self._chunks_of(path.name, stream)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.packets"), key=_begin_of) if self._folder.is_dir() else []

    def _write(self, section: bytes, now: int) -> None:
        path = self._file
        if path is None or path.stat().st_size >= MOST_OF_FILE or now - self._began > FILE_SPAN_NS:
            make_directory(self._folder)
            path = self._folder / f"{now}-{secrets.token_hex(4)}.packets"
            path.touch(mode=0o600, exist_ok=False)
            path.write_bytes(MAGIC)
            self._file, self._began, self._chunks = path, now, 0
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, section, _bound(path.name, self._chunks))
        with path.open("ab") as stream:
            stream.write((len(nonce) + len(sealed)).to_bytes(4, "big") + nonce + sealed)
        self._chunks += 1

    def _chunks_of(self, name: str, stream: BinaryIO) -> Iterator[bytes]:
        if stream.read(len(MAGIC)) != MAGIC:
            return
        number = 0
        while len(head := stream.read(4)) == 4:
            size = int.from_bytes(head, "big")
            sealed = stream.read(size)
            if len(sealed) < size or size < _NONCE:
                return
            try:
                yield self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(name, number))
            except InvalidTag:  # it was changed, moved or cut: it proves nothing
                return
            number += 1


def _bound(name: str, number: int) -> bytes:
    return f"{name}\0{number}".encode()


def _begin_of(path: Path) -> int:
    begin = path.name.partition("-")[0]
    return int(begin) if begin.isdecimal() else 0
