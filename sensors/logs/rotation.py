"""Which file holds what: the identity of a log file, and where its lines are after it was rotated.

A file is known by device, inode and a checksum of its beginning: an inode is used again for another file, and a file
that was copied or packed has another inode but the same beginning. The checksum has 32 bits, enough to tell files
apart and too few to say what stands in them.

Rotated files lie beside the log and are named after it, with a dot or a dash and something that begins with a digit:
`x.log.1`, `x.log.2.gz`, `x.log-20261125.zst`.
"""

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sensors.logs.packed import is_packed, plain_head

HEAD_BYTES = 1024
_PACKED_BYTES = 8192
_ROTATED = re.compile(r"[.-]\d[\w.:+-]*")
_PACKINGS = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is known by; `head` is how many of its first (plain) bytes `crc` covers."""

    device: int
    inode: int
    head: int
    crc: int

    @classmethod
    def of(cls, handle: int) -> Self:
        """Return the identity of an open file as it is now."""
        status, head = os.fstat(handle), beginning(handle, HEAD_BYTES)
        return cls(status.st_dev, status.st_ino, len(head), zlib.crc32(head))

    @classmethod
    def from_place(cls, place: Mapping[str, Any]) -> Self:
        """Read what `as_place` gave; JSON values, hence Any."""
        return cls(int(place["device"]), int(place["inode"]), int(place["head"]), int(place["crc"]))

    def as_place(self) -> dict[str, int]:
        """Return the members that `from_place` reads."""
        return {"device": self.device, "inode": self.inode, "head": self.head, "crc": self.crc}

    def begins(self, handle: int) -> bool:
        """Whether an open file begins as this one did when it was looked at."""
        head = beginning(handle, self.head)
        return len(head) == self.head and zlib.crc32(head) == self.crc

    def is_of(self, path: Path, status: os.stat_result) -> bool:
        """Whether a name leads to this very file; an inode alone may have been given to another since."""
        return self.same_inode(status) and _holds(path, self, 0)

    def same_inode(self, status: os.stat_result) -> bool:
        """Whether a name leads to the inode that this file had."""
        return (status.st_dev, status.st_ino) == (self.device, self.inode)


def beginning(handle: int, limit: int) -> bytes:
    """Return the first plain bytes of an open file, at most `limit`."""
    head = os.pread(handle, limit, 0)
    if is_packed(head):
        return plain_head(os.pread(handle, _PACKED_BYTES, 0), limit)
    return head


def is_rotation(name: str, of: str) -> bool:
    """Whether a file name is that of a rotated file of a log."""
    return name.startswith(of) and _ROTATED.fullmatch(name[len(of) :]) is not None


def rotated(path: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the rotated files of a log, the one that was written to first first; a packed twin doesn't count."""
    found: dict[str, tuple[Path, os.stat_result]] = {}
    try:
        with os.scandir(path.parent) as entries:
            for entry in entries:
                if is_rotation(entry.name, path.name) and entry.is_file():
                    found[entry.name] = (path.parent / entry.name, entry.stat())
    except OSError:
        return []
    twins = {name + packing for name in found for packing in _PACKINGS}
    return sorted(
        (item for name, item in found.items() if name not in twins),
        key=lambda item: (item[1].st_mtime_ns, item[0].name),
    )


def find(path: Path, wanted: Identity, offset: int) -> Path | None:
    """Return the file that holds what was being read: under its name, renamed, copied or packed; None where it is gone.

    `offset` (of the plain text) must lie within it.
    """
    candidates = [*rotated(path), *_named(path)]
    if not wanted.head:  # it was empty, so only its inode can tell
        candidates = [item for item in candidates if wanted.same_inode(item[1])]
    candidates.sort(key=lambda item: not wanted.same_inode(item[1]))  # the file itself rather than a copy
    return next((candidate for candidate, _ in candidates if _holds(candidate, wanted, offset)), None)


def _named(path: Path) -> list[tuple[Path, os.stat_result]]:
    try:
        return [(path, path.stat())]
    except OSError:
        return []


def _holds(path: Path, wanted: Identity, offset: int) -> bool:
    try:
        with path.open("rb", buffering=0) as stream:
            long_enough = is_packed(os.pread(stream.fileno(), 4, 0)) or os.fstat(stream.fileno()).st_size >= offset
            return long_enough and wanted.begins(stream.fileno())
    except OSError:
        return False
