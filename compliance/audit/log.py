"""The audit log on disk, for writing: a tiled transparency log (C2SP tlog-tiles) with one signed checkpoint.

Guarantees, in this order for every `append`: entries, then hashes, then the checkpoint, each flushed to the disk before
the next; the call returns only after that. Whatever kills the process or the machine in between, `open` finds the last
checkpoint, cuts what was written past it (`torn` counts the entries: none of them was acknowledged) and goes on. One
writer at a time: the directory is locked. Partial tiles stay until their full tile exists, so that readers of older
checkpoints find theirs.

Does not batch (one call is one flush: group the entries), and cannot by itself show that the whole history was
rewritten by somebody who holds `log.key`: for that an auditor keeps a checkpoint and gives it to `verify`.
"""

import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from compliance.audit.leaves import encode
from compliance.audit.merkle import leaf_hash
from compliance.audit.note import Checkpoint, Signer, open_checkpoint, parse_signer, valid_name
from compliance.audit.reader import CHECKPOINT, SIGNER, VERIFIER, LogReader, read_hashes, read_note
from compliance.audit.tiles import WIDTH, Edge, TileName, pack_bundle, parse_path
from compliance.errors import AuditDamagedError, AuditError, AuditLockedError, AuditWriteError, NoteError
from compliance.files import (
    TEMPORARY,
    make_directory,
    read_bounded,
    read_secret,
    sync_directory,
    write_secret,
    write_whole,
)
from compliance.values import AuditEntry


class AuditLog(LogReader):
    """The log of a directory, with the right to append. May be shared by threads."""

    def __init__(self, directory: Path, signer: Signer, note: str, checkpoint: Checkpoint, lock: int) -> None:
        super().__init__(directory, note, checkpoint)
        self._signer = signer
        self._lock = lock
        self._closed = False
        self._turn = threading.Lock()
        self._edge = self._load_edge()
        start = self.size - self.size % WIDTH
        self._open_bundle = self.leaves(start, self.size)
        self.torn = self._cut_tail()
        """Entries that a crash left behind the last checkpoint, cut when the log was opened."""

    @classmethod
    def open(cls, directory: Path, origin: str) -> "AuditLog":
        """Open the log named `origin` in a directory, creating key and log where there is none.

        Raises `AuditLockedError` where another writer has it, `AuditDamagedError` where the files do not fit the
        checkpoint, `KeyFileError` where the key may be read by others, `AuditWriteError` where the disk refuses.
        """
        lock = _lock(directory)
        try:
            signer = _signer(directory, origin)
            note = _note(directory, signer)
            return cls(directory, signer, note, open_checkpoint(note, signer.verifier), lock)
        except NoteError as error:
            os.close(lock)
            raise AuditDamagedError(f"{directory}: {error}") from error
        except OSError as error:
            os.close(lock)
            raise AuditWriteError(f"{directory}: {error}") from error
        except BaseException:
            os.close(lock)
            raise

    @property
    def vkey(self) -> str:
        """The key that verifies this log: hand it to auditors."""
        return str(self._signer.verifier)

    def append(self, entries: Sequence[AuditEntry]) -> range:
        """Append entries durably and return their indices.

        Raises `AuditEntryError` before anything is written, or `AuditWriteError`, after which the log is closed and
        has to be opened again.
        """
        leaves = [encode(entry) for entry in entries]
        with self._turn:
            if self._closed:
                raise AuditWriteError("the audit log is closed")
            if leaves:
                try:
                    self._write(leaves)
                except OSError as error:
                    self.close()
                    raise AuditWriteError(f"{self.directory}: {error}") from error
            return range(self.size - len(leaves), self.size)

    def close(self) -> None:
        """Let another writer in."""
        if not self._closed:
            self._closed = True
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, leaves: Sequence[bytes]) -> None:
        edge = self._edge.copy()
        for leaf in leaves:
            edge.push(leaf_hash(leaf))
        pending = [*self._open_bundle, *leaves]
        first = self.size // WIDTH
        files = [
            (TileName(-1, first + at // WIDTH, len(bundle)), pack_bundle(bundle))
            for at in range(0, len(pending), WIDTH)
            if (bundle := pending[at : at + WIDTH])
        ]
        unchanged = {name for name, _ in self._edge.partial()}
        tiles = [tile for tile in (*edge.full, *edge.partial()) if tile[0] not in unchanged]
        files += [(name, b"".join(hashes)) for name, hashes in tiles]
        self._store(files)
        checkpoint = Checkpoint(self._signer.name, edge.size, edge.root())
        note = self._signer.sign(str(checkpoint))
        write_whole(self.directory / CHECKPOINT, note.encode())
        sync_directory(self.directory)
        edge.full.clear()
        self._edge, self._checkpoint, self._note = edge, checkpoint, note
        self._open_bundle = pending[len(pending) - edge.size % WIDTH :]
        self._hashes.cache_clear()
        for name, _ in files:
            if name.width == WIDTH:
                shutil.rmtree(self.directory / f"{name.path}.p", ignore_errors=True)

    def _store(self, files: Sequence[tuple[TileName, bytes]]) -> None:
        directories: dict[Path, None] = {}
        for name, data in files:
            path = self.directory / name.path
            if path.parent not in directories:
                make_directory(path.parent)
                directories[path.parent] = None
            write_whole(path, data)
        for directory in directories:
            sync_directory(directory)

    def _load_edge(self) -> Edge:
        levels: list[list[bytes]] = [[]]
        level, hashes = 0, self.size
        while hashes:
            index, width = divmod(hashes, WIDTH)
            levels[level:] = [read_hashes(self.directory, TileName(level, index, width)) if width else []]
            level, hashes = level + 1, index
        edge = Edge(self.size, levels)
        if edge.root() != self._checkpoint.root:
            raise AuditDamagedError(f"the tiles in {self.directory} do not lead to the root of the checkpoint")
        return edge

    def _cut_tail(self) -> int:
        """Remove what was written past the checkpoint and never acknowledged."""
        end = self.size
        for parent, _, names in os.walk(self.directory / "tile"):
            for path in (Path(parent, name) for name in names):
                name = parse_path(path.relative_to(self.directory).as_posix())
                if path.name.endswith(TEMPORARY) or (name and not self._belongs(name)):
                    path.unlink()
                if name and name.level < 0:
                    end = max(end, name.index * WIDTH + name.width)
        return end - self.size

    def _belongs(self, name: TileName) -> bool:
        index, width = divmod(self.size >> 8 * max(name.level, 0), WIDTH)
        return name.index < index if name.width == WIDTH else name.index == index and name.width <= width


def _lock(directory: Path) -> int:
    try:
        make_directory(directory)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise AuditWriteError(f"{directory}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AuditLockedError(f"{directory} has another writer") from None
    return descriptor


def _signer(directory: Path, origin: str) -> Signer:
    """Return the log's key, made where the directory holds no log yet."""
    path = directory / SIGNER
    if not path.exists():
        if (directory / CHECKPOINT).exists() or (directory / "tile").exists():
            raise AuditDamagedError(f"{directory} holds a log without its key")
        if not (valid_name(origin) and origin.isascii()):
            raise AuditError(f"{origin!r} cannot name a log: ASCII without spaces or plus signs, please")
        write_secret(path, str(Signer(origin, secrets.token_bytes(32))))
    signer = parse_signer(read_secret(path))
    if signer.name != origin:
        raise AuditError(f"{directory} holds the log {signer.name}, not {origin}")
    return signer


def _note(directory: Path, signer: Signer) -> str:
    """Return the signed checkpoint, made where the key is new."""
    vkey = f"{signer.verifier}\n".encode()
    if not (directory / VERIFIER).exists():
        write_whole(directory / VERIFIER, vkey)
    if read_bounded(directory / VERIFIER, 1_024) != vkey:
        raise AuditDamagedError(f"{directory / VERIFIER} is not the key of this log")
    if not (directory / CHECKPOINT).exists():
        if (directory / "tile").exists():
            raise AuditDamagedError(f"{directory} holds a log without its checkpoint")
        checkpoint = Checkpoint(signer.name, 0, Edge().root())
        write_whole(directory / CHECKPOINT, signer.sign(str(checkpoint)).encode())
        sync_directory(directory)
    return read_note(directory)
