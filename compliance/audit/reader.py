"""A log on disk, for reading: its checkpoint, its entries and its proofs.

Guarantees: reads only, may run beside the writer, and answers for the checkpoint that it read at `open`. Trusts the
signature but not the tiles: a leaf that does not match its hash, or a proof that does not lead to the root, is an
`AuditDamagedError`. Checking the whole log is `verify`'s work.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from compliance.audit import merkle
from compliance.audit.leaves import decode
from compliance.audit.note import MAX_NOTE, Checkpoint, Verifier, open_checkpoint, parse_verifier
from compliance.audit.tiles import HASH, MAX_BUNDLE, WIDTH, TileName, expected, tile_node, unpack_bundle, unpack_tile
from compliance.errors import AuditDamagedError, AuditRangeError, NoteError
from compliance.files import read_bounded
from compliance.values import AuditEntry

CHECKPOINT = "checkpoint"
VERIFIER = "log.vkey"
SIGNER = "log.key"


def read_verifier(directory: Path) -> Verifier:
    """Return the key that lies beside a log, which proves nothing to an outsider; raise OSError or `NoteError`."""
    text = read_bounded(directory / VERIFIER, 1_024).decode("utf-8", "replace")
    if not text.endswith("\n"):
        raise NoteError("verifier key without its newline")
    return parse_verifier(text[:-1])


def read_note(directory: Path) -> str:
    """Return the signed checkpoint as it lies on disk; raise OSError or `NoteError`."""
    try:
        return read_bounded(directory / CHECKPOINT, MAX_NOTE).decode()
    except UnicodeDecodeError:
        raise NoteError("checkpoint that is not UTF-8") from None


def read_tile(directory: Path, name: TileName) -> bytes:
    """Return the bytes of a tile or bundle; of the full one where a partial one has been removed; raise OSError."""
    limit = MAX_BUNDLE if name.level < 0 else WIDTH * HASH
    try:
        return read_bounded(directory / name.path, limit)
    except FileNotFoundError:
        if name.width == WIDTH:
            raise
        return read_bounded(directory / TileName(name.level, name.index).path, limit)


def read_hashes(directory: Path, name: TileName) -> list[bytes]:
    """Return the hashes of a tile; raise OSError where it does not hold as many as its name says."""
    return _first(unpack_tile(read_tile(directory, name)), name)


def read_leaves(directory: Path, name: TileName) -> list[bytes]:
    """Return the leaves of a bundle; raise OSError where it does not hold as many as its name says."""
    return _first(unpack_bundle(read_tile(directory, name)), name)


def _first(items: list[bytes] | None, name: TileName) -> list[bytes]:
    if items is None or len(items) not in (name.width, WIDTH):
        raise OSError(f"{name.path} is not whole")
    return items[: name.width]


class LogReader:
    """Reads the log in a directory, as of one checkpoint."""

    def __init__(self, directory: Path, note: str, checkpoint: Checkpoint) -> None:
        self.directory = directory
        self._note = note
        self._checkpoint = checkpoint
        self._hashes = lru_cache(maxsize=64)(self._load_hashes)
        self._node = tile_node(self._hashes)

    @classmethod
    def read(cls, directory: Path, vkey: str | None = None) -> "LogReader":
        """Open the log of a directory; raise `AuditDamagedError` where there is none that the key signed."""
        try:
            verifier = parse_verifier(vkey) if vkey else read_verifier(directory)
            note = read_note(directory)
            return LogReader(directory, note, open_checkpoint(note, verifier))
        except (OSError, NoteError) as error:
            raise AuditDamagedError(f"no readable log in {directory}: {error}") from error

    @property
    def size(self) -> int:
        """Entries in the log."""
        return self._checkpoint.size

    def checkpoint(self) -> str:
        """Return the signed checkpoint."""
        return self._note

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Return the leaves [start, end) as they were hashed."""
        if not 0 <= start <= end <= self.size:
            raise AuditRangeError(f"entries {start} to {end} of a log of {self.size}")
        found: list[bytes] = []
        for index in range(start // WIDTH, -(-end // WIDTH) if end > start else start // WIDTH):
            found += self._load_leaves(index)
        return found[start % WIDTH :][: end - start]

    def entries(self, start: int, end: int) -> list[AuditEntry]:
        """Return the entries [start, end)."""
        return [decode(leaf) for leaf in self.leaves(start, end)]

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return the proof that entry `index` is in the tree of this checkpoint (RFC 6962, 2.1.1)."""
        if not 0 <= index < self.size:
            raise AuditRangeError(f"entry {index} of a log of {self.size}")
        return merkle.inclusion_proof(self._node, index, self.size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of size `new` begins with the tree of size `old` (RFC 6962, 2.1.2)."""
        if not 0 <= old <= new <= self.size:
            raise AuditRangeError(f"sizes {old} and {new} of a log of {self.size}")
        return merkle.consistency_proof(self._node, old, new)

    def _load_hashes(self, level: int, index: int) -> list[bytes]:
        return self._load(read_hashes, level, index)

    def _load_leaves(self, index: int) -> list[bytes]:
        leaves = self._load(read_leaves, -1, index)
        if [merkle.leaf_hash(leaf) for leaf in leaves] != self._hashes(0, index):
            raise AuditDamagedError(f"entry bundle {index} does not match its hashes")
        return leaves

    def _load(self, read: Callable[[Path, TileName], list[bytes]], level: int, index: int) -> list[bytes]:
        name = expected(level, index, self.size)
        if name is None:
            raise AuditRangeError(f"no tile {index} at level {level} of a log of {self.size}")
        try:
            return read(self.directory, name)
        except OSError as error:
            raise AuditDamagedError(str(error)) from error
