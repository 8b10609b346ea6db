"""Cut a stream of bytes into numbered lines, with bounded memory.

Guarantees: every line is given once, with its number (from 1) and the byte offset of its first byte, however the bytes
are cut into pieces; no more than one block and one line of `max_line_bytes` are kept. A longer line is given cut, in a
block of its own that says so. Lines end with LF, which is taken off; bytes aren't decoded here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

BLOCK_LINES = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lines."""

    first: int
    """Number of the first line, from 1."""
    offset: int
    """Byte offset of the first line in the (uncompressed) stream."""
    lines: list[bytes]
    """Without LF."""
    cut: bool = False
    """The block's only line was longer than allowed and is only the beginning of it."""

    def offset_of(self, index: int) -> int:
        """Return the byte offset of a line of the block."""
        return self.offset + sum(map(len, self.lines[:index])) + index


class LineCutter:
    """A push parser: bytes in, blocks of lines out."""

    def __init__(self, max_line_bytes: int, line: int = 1, offset: int = 0, skipping: bool = False) -> None:
        """Go on at a line and offset where a cutter stood before, perhaps within a line that was given cut already."""
        self._limit = max_line_bytes
        self._rest = b""
        self.skipping = skipping
        self.line = line
        """Number of the line that comes next."""
        self.offset = offset
        """Byte offset of what follows the last line that was given."""

    def restart(self) -> None:
        """Count offsets from 0 again, and go on counting lines: another file follows."""
        self.offset = 0

    def feed(self, data: bytes) -> Iterator[Block]:
        """Yield the lines that `data` completes."""
        if self.skipping:
            end = data.find(b"\n")
            if end < 0:
                self.offset += len(data)
                return
            self.skipping = False
            self.offset += end + 1
            data = data[end + 1 :]
        *lines, self._rest = (self._rest + data).split(b"\n")
        yield from self._blocks(lines)
        if len(self._rest) > self._limit:
            yield self._cut(self._rest, 0)
            self.skipping, self._rest = True, b""

    def finish(self) -> Iterator[Block]:
        """Yield the last line where it has no line end; the next byte fed begins a new line."""
        if self._rest:
            block = self._block([self._rest])
            self.offset -= 1  # there was no line end
            yield block
        self.skipping, self._rest = False, b""

    def _blocks(self, lines: list[bytes]) -> Iterator[Block]:
        for start in range(0, len(lines), BLOCK_LINES):
            part = lines[start : start + BLOCK_LINES]
            if max(map(len, part)) <= self._limit:
                yield self._block(part)
            else:
                yield from self._mixed(part)

    def _mixed(self, lines: list[bytes]) -> Iterator[Block]:
        run: list[bytes] = []
        for line in lines:
            if len(line) <= self._limit:
                run.append(line)
                continue
            if run:
                yield self._block(run)
                run = []
            yield self._cut(line, 1)
        if run:
            yield self._block(run)

    def _block(self, lines: list[bytes]) -> Block:
        first, offset = self.line, self.offset
        self.line += len(lines)
        self.offset += sum(map(len, lines)) + len(lines)
        return Block(first, offset, lines)

    def _cut(self, line: bytes, line_end: int) -> Block:
        first, offset = self.line, self.offset
        self.line += 1
        self.offset += len(line) + line_end
        return Block(first, offset, [line[: self._limit]], cut=True)
