"""Follow a log file by its name, through rotation, truncation and our own death.

Guarantees: each line is given once and in order, from where following began: through rotation by rename (the rest of
the old file is read first, and so are whole files that came and went meanwhile), through copying and truncating (what
was written just before is taken from the copy), through packing of rotated files, and after a restart from a saved
place, whatever rotated in between. A line is given when its end has been written, or its file was left.
What can't be had is a `Fault`: `log.rotated-away` (the rest of a file that is nowhere to be found),
`log.unreadable` (a new file that may not be read: it is tried again).

A truncated file is known by being shorter than before or beginning otherwise. Not done: lines that were truncated away
between two looks without a copy; a file that was rewritten with the same beginning and more bytes.
"""

import os
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import BinaryIO

from sensors.errors import UnreadableInputError
from sensors.logs.acquire import open_file, read_some
from sensors.logs.feed import Place
from sensors.logs.lines import Block, LineCutter
from sensors.logs.packed import is_packed, plain
from sensors.logs.rotation import HEAD_BYTES, Identity, find, rotated
from sensors.values import Counters, Fault

_REMEMBERED = 16


class _Opened:
    """A file that is being read; an offset is one of its plain text."""

    def __init__(self, path: Path, offset: int, counters: Counters) -> None:
        """Go on at `offset`; raise `UnreadableInputError`."""
        self.path = path
        self._stream: BinaryIO = open_file(path)
        self.handle = self._stream.fileno()
        self._counters = counters
        try:
            self.identity = Identity.of(self.handle)
            self.packed = is_packed(os.pread(self.handle, 4, 0))
        except OSError as error:
            self.close()
            raise UnreadableInputError(f"{path}: {error.strerror or error}") from error
        self.offset = offset
        self._plain = plain(self._pieces(), counters) if self.packed else iter(())
        self._skip(offset)

    def _skip(self, offset: int) -> None:
        if not self.packed:
            self._stream.seek(offset)
            return
        passed = 0
        for piece in self._plain:
            passed += len(piece)
            if passed > offset:
                self._left: bytes = piece[len(piece) - (passed - offset) :]
                return
        self._left = b""

    def _pieces(self) -> Iterator[bytes]:
        while data := read_some(self._stream, self.path):
            yield data

    def read(self) -> bytes:
        """Return the next plain bytes; b"" where there are none for now."""
        if self.packed:
            data, self._left = self._left or next(self._plain, b""), b""
        else:
            data = read_some(self._stream, self.path)
        self.offset += len(data)
        self._counters.bytes += len(data)
        return data

    def size(self) -> int:
        """Return how long the file is now; of a packed one, what has been read."""
        return self.offset if self.packed else os.fstat(self.handle).st_size

    def to_the_end(self) -> None:
        """Pass over what is there (not for packed files)."""
        self.offset = self._stream.seek(0, os.SEEK_END)

    def look_again(self) -> None:
        """Take note of a beginning that has grown."""
        if not self.packed:
            self.identity = Identity.of(self.handle)

    def rewritten(self) -> bool:
        """Whether the file was truncated, and perhaps written again, since it was read."""
        return not self.packed and (self.size() < self.offset or not self.identity.begins(self.handle))

    def close(self) -> None:
        self._stream.close()


class Follower:
    """One log file; `poll` gives what is new of it."""

    def __init__(
        self,
        path: Path,
        max_line_bytes: int,
        counters: Counters,
        place: Place | None = None,
        since: int | None = None,
    ) -> None:
        """Begin at a place that was saved; else with what was rotated after `since` (ns), or at the beginning; else,
        where that is None, at the end.

        Raises `UnreadableInputError` where there is nothing to begin with.
        """
        self._path = path
        self._counters = counters
        self._done: list[Identity] = []
        self._trouble = ""
        self._next: _Opened | None = None
        if place is None:
            self._file = _Opened(path if since is None else _first(path, since), 0, counters)
            if since is None:
                self._to_the_end()
            self._cutter = LineCutter(max_line_bytes, offset=self._file.offset)
        else:
            self._cutter = LineCutter(max_line_bytes, int(place["line"]), int(place["offset"]), bool(place["skipping"]))
            self._done = [Identity(*map(int, known)) for known in place["done"]]
            self._file = self._go_on(Identity.from_place(place), int(place["offset"]))

    def _to_the_end(self) -> None:
        if self._file.packed:
            self._file.close()
            raise UnreadableInputError(f"{self._path}: a packed file can't be followed from its end")
        self._file.to_the_end()

    def _go_on(self, identity: Identity, offset: int) -> _Opened:
        found = find(self._path, identity, offset)
        if found is not None:
            return _Opened(found, offset, self._counters)
        if identity.head:
            self._lost(offset)
        self._cutter.restart()
        return _Opened(self._path, 0, self._counters)

    def _lost(self, offset: int) -> None:
        text = "the file was rotated away or truncated before it was read to its end, and is nowhere to be found"
        self._counters.read += 1
        self._counters.fault(Fault("log.rotated-away", offset, text))

    @property
    def place(self) -> Place:
        """Where to go on after the last block that was given."""
        cutter = self._cutter
        return {
            **self._file.identity.as_place(), "offset": cutter.offset, "line": cutter.line,
            "skipping": cutter.skipping, "done": [list(astuple(known)) for known in self._done],
        }  # fmt: skip

    @property
    def unread(self) -> int:
        """Bytes of the file being read that haven't been read."""
        return max(0, self._file.size() - self._file.offset)

    def poll(self) -> Iterator[Block]:
        """Yield the lines that have come in since the last time, through rotation and truncation."""
        if self._file.rewritten():
            yield from self._after_truncation()
        yield from self._drain()
        while self._find_following():
            yield from self._drain()  # what was written between the last read and the rename
            yield from self._cutter.finish()
            self._leave()
            yield from self._drain()

    def settle(self, place: Place) -> None:
        """Nothing need be kept: files are their own memory."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._next is not None:
            self._next.close()

    def _drain(self) -> Iterator[Block]:
        while data := self._file.read():
            if self._file.identity.head < min(HEAD_BYTES, self._file.offset):
                self._file.look_again()  # a place is worth more the more of the beginning it knows
            yield from self._cutter.feed(data)

    def _after_truncation(self) -> Iterator[Block]:
        """Go on in the copy that was made of what was truncated away, if there is one; else at the beginning."""
        copy = find(self._path, self._file.identity, self._file.offset)
        if copy is not None and not self._file.identity.same_inode(copy.stat()):
            kept = _Opened(copy, self._file.offset, self._counters)
            self._file.close()
            self._file = kept
            return
        yield from self._cutter.finish()
        self._next = _Opened(self._file.path, 0, self._counters)
        self._leave()

    def _leave(self) -> None:
        """Go over to the next file."""
        assert self._next is not None
        self._done = [*self._done, self._file.identity][-_REMEMBERED:]
        self._file.close()
        self._file, self._next = self._next, None
        self._cutter.restart()

    def _find_following(self) -> bool:
        """Open the file that comes after the one being read, if that isn't the newest."""
        try:
            newest = self._path.stat()
        except OSError:
            return False  # a name that is missing for a moment doesn't mean anything
        if self._file.identity.same_inode(newest):
            return False
        following = next(iter(self._between()), self._path)
        try:
            self._next = _Opened(following, 0, self._counters)
        except UnreadableInputError as error:
            self._tell_trouble(str(error))
            return False
        self._trouble = ""
        return True

    def _between(self) -> list[Path]:
        """Return the rotated files that were written after the one being read and haven't been read."""
        left = os.fstat(self._file.handle).st_mtime_ns
        known = [*self._done, self._file.identity]
        return [
            path
            for path, status in rotated(self._path)
            if status.st_mtime_ns > left and not any(identity.is_of(path, status) for identity in known)
        ]

    def _tell_trouble(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._counters.read += 1
            self._counters.fault(Fault("log.unreadable", 0, "the file that follows can't be read"))


def _first(path: Path, since: int) -> Path:
    """Return the oldest file of a log that was written to after an instant (ns)."""
    return next((candidate for candidate, status in rotated(path) if status.st_mtime_ns > since), path)
