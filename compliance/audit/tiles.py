"""Tiles and entry bundles of C2SP tlog-tiles, in memory: names, encodings, and the growing right edge of a tree.

Pure. A tile holds up to 256 hashes of one level (level L stands at height 8 L of the tree); a bundle holds up to 256
entries, each behind its length as a big-endian uint16. `Edge` is all that a log needs to remember in order to grow:
the incomplete tile of each level. Does not sign, does not read or write files.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from compliance.audit.merkle import EMPTY_ROOT, Node, leaf_hash, node_hash, perfect_root

WIDTH = 256
HASH = 32
MAX_ENTRY = 0xFFFF
MAX_BUNDLE = WIDTH * (2 + MAX_ENTRY)
"""Bytes of the largest possible bundle."""

_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True, order=True)
class TileName:
    """Names a tile (level >= 0) or a bundle (level -1); width 256 is a full one."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The name as a relative path, such as tile/0/x001/234.p/5 or tile/entries/000."""
        level = "entries" if self.level < 0 else str(self.level)
        return f"tile/{level}/{_index_path(self.index)}" + ("" if self.width == WIDTH else f".p/{self.width}")


def _index_path(index: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups))


def parse_path(path: str) -> TileName | None:
    """Return what a relative path names, or None where it is not the one spelling of a tile's or bundle's name."""
    stem, _, width = path.partition(".p/")
    level, _, index = stem.removeprefix("tile/").partition("/")
    digits = index.replace("/", "").replace("x", "")
    number = "-1" if level == "entries" else level
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        return None
    if (width and not width.isascii()) or number not in _LEVELS:
        return None
    name = TileName(int(number), int(digits), int(width) if width.isdecimal() and len(width) < 4 else WIDTH)
    return name if name.path == path and name.width > 0 else None


_LEVELS = {str(level) for level in range(-1, 64)}


def expected(level: int, index: int, size: int) -> TileName | None:
    """Return the tile or bundle at that place in a tree of `size` leaves, or None where the tree has none."""
    hashes = size >> 8 * max(level, 0)
    width = min(WIDTH, hashes - index * WIDTH)
    return TileName(level, index, width) if width > 0 else None


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of these entries (at most 256, each at most 65,535 bytes)."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def unpack_bundle(data: bytes) -> list[bytes] | None:
    """Return the entries of a bundle, or None where its lengths do not add up."""
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at + 2 <= end:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1])
        entries.append(data[start:at])
    return entries if at == end else None


def unpack_tile(data: bytes) -> list[bytes] | None:
    """Return the hashes of a tile, or None where its length is not a multiple of 32."""
    if len(data) % HASH:
        return None
    return [data[at : at + HASH] for at in range(0, len(data), HASH)]


def tile_node(load: Callable[[int, int], Sequence[bytes]]) -> Node:
    """Return a `Node` over tiles: `load(level, index)` gives the hashes of a tile, as many as the tree has."""

    def node(height: int, index: int) -> bytes:
        level, inside = divmod(height, 8)
        tile, offset = divmod(index << inside, WIDTH)
        return perfect_root(load(level, tile)[offset : offset + (1 << inside)])

    return node


@dataclass(slots=True)
class Edge:
    """The right edge of a growing tree: the hashes of the incomplete tile of each level.

    `full` collects the tiles that `push` completes, oldest first, until the caller takes them.
    """

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=lambda: [[]])
    full: list[tuple[TileName, list[bytes]]] = field(default_factory=list)

    def copy(self) -> "Edge":
        """Return an edge that grows apart from this one."""
        return Edge(self.size, [list(hashes) for hashes in self.levels])

    def push(self, hash_: bytes) -> None:
        """Add the hash of the next leaf."""
        self.size += 1
        hashes = self.levels[0]
        hashes.append(hash_)
        if len(hashes) == WIDTH:
            self._carry()

    def push_leaf(self, leaf: bytes) -> None:
        """Add the next leaf."""
        self.push(leaf_hash(leaf))

    def _carry(self) -> None:
        for level, hashes in enumerate(self.levels):
            if len(hashes) < WIDTH:
                return
            self.full.append((TileName(level, (self.size >> 8 * (level + 1)) - 1), hashes))
            if level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[level + 1].append(perfect_root(hashes))
            self.levels[level] = []

    def partial(self) -> list[tuple[TileName, list[bytes]]]:
        """Return the incomplete tiles that hold anything."""
        return [
            (TileName(level, self.size >> 8 * (level + 1), len(hashes)), hashes)
            for level, hashes in enumerate(self.levels)
            if hashes
        ]

    def root(self) -> bytes:
        """Return the root of the tree."""
        root: bytes | None = None
        for hashes in self.levels:
            end = len(hashes)
            while end:
                start = end & (end - 1)  # without its lowest bit: the last perfect subtree begins here
                peak = perfect_root(hashes[start:end])
                root = peak if root is None else node_hash(peak, root)
                end = start
        return EMPTY_ROOT if root is None else root
