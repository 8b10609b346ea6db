"""Check a whole log: every entry, every tile, the root, the signature, and the history against a saved checkpoint.

Guarantees: reads only, never raises whatever the directory holds, and takes time and memory bounded by what is there,
not by what it claims. A changed, cut, reordered or missing byte anywhere in the log gives a `Problem`. May run beside
the writer: what lies past the checkpoint is not part of the log. A history that was rewritten whole and signed anew
with the same key shows only against a checkpoint that somebody kept (`since`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from compliance.audit.merkle import EMPTY_ROOT, leaf_hash
from compliance.audit.note import Checkpoint, Verifier, open_checkpoint, parse_signer, parse_verifier
from compliance.audit.reader import (
    CHECKPOINT,
    SIGNER,
    VERIFIER,
    read_hashes,
    read_leaves,
    read_note,
    read_tile,
    read_verifier,
)
from compliance.audit.tiles import WIDTH, Edge, TileName, pack_bundle
from compliance.errors import KeyFileError, NoteError
from compliance.files import read_secret
from compliance.values import Problem, Verification

MAX_PROBLEMS = 20
"""Problems after which a verification stops."""


def verify(directory: Path, vkey: str | None = None, since: str | None = None) -> Verification:
    """Check the log in a directory.

    `vkey`: the verifier key as the auditor holds it; without it the one beside the log is believed. `since`: a signed
    checkpoint kept from earlier; the log must still begin with it.
    """
    problems: list[Problem] = []
    try:
        verifier = parse_verifier(vkey) if vkey is not None else read_verifier(directory)
    except (OSError, NoteError) as error:
        return Verification(0, b"", (Problem("key", VERIFIER, str(error)),))
    problems += _check_keys(directory, verifier)
    try:
        checkpoint = open_checkpoint(read_note(directory), verifier)
    except (OSError, NoteError) as error:
        return Verification(0, b"", (*problems, Problem("checkpoint", CHECKPOINT, str(error))))
    kept = None
    if since is not None:
        try:
            kept = open_checkpoint(since, verifier)
        except NoteError as error:
            problems.append(Problem("saved-checkpoint", "", str(error)))
    problems += _Walk(directory, checkpoint, kept).run()
    return Verification(checkpoint.size, checkpoint.root, tuple(problems))


def _check_keys(directory: Path, verifier: Verifier) -> list[Problem]:
    """Look at the key files that lie beside the log, as far as we may read them. An auditor's copy has none."""
    problems = []
    try:
        if read_verifier(directory) != verifier:
            problems.append(Problem("key", VERIFIER, "not the key that was given"))
    except FileNotFoundError:
        pass
    except (OSError, NoteError) as error:
        problems.append(Problem("key", VERIFIER, str(error)))
    try:
        if parse_signer(read_secret(directory / SIGNER)).verifier != verifier:
            problems.append(Problem("signing-key", SIGNER, "belongs to another verifier key"))
    except (KeyFileError, NoteError) as error:
        if not isinstance(error.__cause__, FileNotFoundError | PermissionError):
            problems.append(Problem("signing-key", SIGNER, str(error)))
    return problems


class _Walk:
    """One pass over a log, growing the tree again from its entries."""

    def __init__(self, directory: Path, checkpoint: Checkpoint, kept: Checkpoint | None) -> None:
        self.directory = directory
        self.checkpoint = checkpoint
        self.kept = kept
        self.kept_root = EMPTY_ROOT
        self.edge = Edge()
        self.problems: list[Problem] = []

    def run(self) -> list[Problem]:
        size = self.checkpoint.size
        for index in range(-(-size // WIDTH)):
            hashes = self._bundle(index)
            if hashes is None or len(self.problems) >= MAX_PROBLEMS:
                self._report("stopped", f"entry {index * WIDTH}", "not checked any further")
                return self.problems
            self._grow(hashes)
        for name, hashes in self.edge.partial():
            self._tile(name, hashes)
            self._superseded(name, hashes, b"".join)
        if self.edge.root() != self.checkpoint.root:
            self._report("root", CHECKPOINT, "the entries do not lead to the root of the checkpoint")
        self._history()
        return self.problems

    def _report(self, code: str, where: str, text: str) -> None:
        self.problems.append(Problem(code, where, text))

    def _read(self, read: Callable[[Path, TileName], list[bytes]], name: TileName) -> list[bytes] | None:
        try:
            return read(self.directory, name)
        except FileNotFoundError:
            self._report("missing", name.path, "missing")
        except OSError as error:
            self._report("unreadable", name.path, str(error))
        return None

    def _bundle(self, index: int) -> Sequence[bytes] | None:
        """Return the leaf hashes of a bundle, checked against its tile; of the tile alone where the bundle is lost."""
        width = min(WIDTH, self.checkpoint.size - index * WIDTH)
        tile = self._read(read_hashes, TileName(0, index, width))
        name = TileName(-1, index, width)
        leaves = self._read(read_leaves, name)
        if leaves is None:
            return tile
        hashes = [leaf_hash(leaf) for leaf in leaves]
        if tile is not None and tile != hashes:
            at = next(i for i, (a, b) in enumerate(zip(tile, hashes, strict=True)) if a != b)
            self._report("entry", f"entry {index * WIDTH + at}", f"does not match its hash ({name.path})")
        if width < WIDTH:
            self._superseded(name, leaves, pack_bundle)
        return tile or hashes

    def _grow(self, hashes: Sequence[bytes]) -> None:
        for hash_ in hashes:
            self.edge.push(hash_)
            if self.kept and self.edge.size == self.kept.size:
                self.kept_root = self.edge.root()
        for name, full in self.edge.full:
            self._tile(name, full)
        self.edge.full.clear()

    def _tile(self, name: TileName, hashes: Sequence[bytes]) -> None:
        """Compare a tile above the leaves (those of the leaves have been compared already)."""
        stored = self._read(read_hashes, name) if name.level else None
        if name.level and stored is not None and stored != hashes:
            self._report("tile", name.path, "does not match the entries")

    def _superseded(self, name: TileName, items: Sequence[bytes], pack: Callable[[Sequence[bytes]], bytes]) -> None:
        """Compare the narrower partial files that older checkpoints needed, and the length of this one."""
        try:
            names = [path.name for path in (self.directory / name.path).parent.iterdir()]
        except OSError:
            return  # removed when the full tile was written; its absence, if it matters, is found elsewhere
        for width in (int(text) for text in names if text.isascii() and text.isdecimal() and len(text) <= 3):
            older = TileName(name.level, name.index, width)
            if not 0 < width <= name.width or older.path.rsplit("/", 1)[1] not in names:
                continue
            try:
                if read_tile(self.directory, older) != pack(items[:width]):
                    self._report("tile", older.path, "does not match the entries")
            except OSError as error:
                self._report("unreadable", older.path, str(error))

    def _history(self) -> None:
        if self.kept is None:
            return
        if self.kept.size > self.checkpoint.size:
            self._report("shrunk", CHECKPOINT, f"the log had {self.kept.size} entries, now {self.checkpoint.size}")
        elif self.kept.root != self.kept_root:
            self._report("forked", CHECKPOINT, f"the first {self.kept.size} entries are not what they were")
