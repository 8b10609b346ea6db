"""A stream of which the beginning has been looked at, to see what it is."""

import os
import select

from sensors.logs.packed import plain_head

HEAD_BYTES = 8192
_ENOUGH = 24
"""Bytes by which every binary format is known."""
_WAIT_S = 0.1


class Begun:
    """Reads what a file descriptor gives, from its beginning; it may be read once."""

    def __init__(self, handle: int) -> None:
        """Look at the first line, or at what there is of it; waits until something comes. Raises OSError."""
        self._handle = handle
        self._left = b""
        while len(self._left) < HEAD_BYTES and not self._is_enough():
            data = os.read(handle, HEAD_BYTES)
            if not data:
                break
            self._left += data
        self.head = plain_head(self._left, HEAD_BYTES) or self._left
        """The first plain bytes."""

    def _is_enough(self) -> bool:
        """Whether a whole line is there, or enough of what is no text."""
        return b"\n" in self._left or (len(self._left) >= _ENOUGH and not self._left[:_ENOUGH].isascii())

    def waits(self) -> bool:
        """Whether nothing comes for a moment."""
        return not self._left and not select.select([self._handle], [], [], _WAIT_S)[0]

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, at least one unless it has ended."""
        if not self._left:
            return os.read(self._handle, size)
        data, self._left = self._left[:size], self._left[size:]
        return data
