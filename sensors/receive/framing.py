"""Messages out of a stream of bytes from a stranger; pure.

Syslog over TCP and TLS (RFC 6587, RFC 5425): each message is either counted (`17 <13>1 ...`) or ended by LF, and a
sender may use either, told by its first byte. Other streams: lines.
Guarantees: messages come out whole and in order, however the bytes are cut; memory is bounded by one message of
`limit` bytes: a longer one is given cut to `limit` + 1 bytes, so that whoever reads it sees that it was longer. A count
that can't be one, from a sender that has counted before, raises `FramingError`: where the next message begins can't be
known then, and the stream is of no further use. Line ends within a counted message become `#012`, as rsyslog writes
them: a message stays one line.
"""

from sensors.errors import SensorError

_MAX_DIGITS = 7


class FramingError(SensorError):
    """A stream that doesn't say where its messages end; `offset` is where that was seen."""

    code = "syslog.frame"

    def __init__(self, offset: int) -> None:
        super().__init__("a message's length isn't a number, or is too large")
        self.offset = offset


def one_line(message: bytes) -> bytes:
    """Return a message as one line: without NULs and line ends behind it, those within it escaped."""
    message = message.rstrip(b"\r\n\0")
    return message.replace(b"\n", b"#012") if b"\n" in message else message


class Framer:
    """Takes the messages of one stream apart."""

    def __init__(self, limit: int, counted: bool = True) -> None:
        """Take the most bytes of a message; `counted`: messages may be counted, as in syslog."""
        self._limit, self._may_count = limit, counted
        self._rest = b""
        self._counts = False
        """Whether this sender has counted before."""
        self._skip = 0
        """Bytes of a counted message that are passed over; -1: all up to the next line end."""
        self._offset = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that `data` completes; raise `FramingError`."""
        self._offset += len(data)
        data = self._passed_over(data)
        if not self._rest and not self._may_count:
            return self._lines(data)
        return self._mixed(self._rest + data)

    def finish(self) -> list[bytes]:
        """Return what was left without an end."""
        rest, self._rest, skipping, self._skip = self._rest, b"", self._skip, 0
        counted = self._may_count and rest[:1].isdigit()  # a part of a counted message is none
        return [] if skipping or counted or not rest else [one_line(rest)]

    def _passed_over(self, data: bytes) -> bytes:
        if self._skip < 0:
            end = data.find(b"\n")
            if end < 0:
                return b""
            self._skip, data = 0, data[end + 1 :]
        passed = min(self._skip, len(data))
        self._skip -= passed
        return data[passed:]

    def _mixed(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = 0
        while at < len(data):
            taken = self._counted(data, at, found) if self._is_counted(data, at) else self._line(data, at, found)
            if taken == at:
                break
            at = taken
        self._rest = data[at:]
        return found

    def _is_counted(self, data: bytes, at: int) -> bool:
        return self._may_count and 0x31 <= data[at] <= 0x39

    def _counted(self, data: bytes, at: int, found: list[bytes]) -> int:
        space = data.find(b" ", at, at + _MAX_DIGITS + 1)
        digits = data[at : at + _MAX_DIGITS + 1] if space < 0 else data[at:space]
        begins = space < 0 or data[space + 1 : space + 2] in b"<"  # each message of syslog does; or nothing yet
        if not digits.isdigit() or len(digits) > _MAX_DIGITS or not begins:
            if self._counts:
                raise FramingError(self._offset - len(data) + at)
            return self._line(data, at, found)  # a line that begins with a number
        if space < 0 or space + 1 == len(data):
            return at
        begin, end = space + 1, space + 1 + int(digits)
        if int(digits) > self._limit and len(data) - begin > self._limit:
            found.append(one_line(data[begin : begin + self._limit + 1]))
            self._skip = max(0, end - len(data))
            return min(end, len(data))
        if end > len(data):
            return at
        found.append(one_line(data[begin:end]))
        self._counts = True
        return end

    def _line(self, data: bytes, at: int, found: list[bytes]) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            if len(data) - at <= self._limit:
                return at
            found.append(self._cut(data[at:]))
            self._skip = -1
            return len(data)
        if end > at:
            found.append(self._cut(data[at:end]))
        return end + 1

    def _cut(self, line: bytes) -> bytes:
        return line[: self._limit + 1].rstrip(b"\r\0")

    def _lines(self, data: bytes) -> list[bytes]:
        """Return the lines of a stream that counts nothing: the same as `_mixed`, in one piece."""
        *lines, rest = data.split(b"\n")
        if len(rest) > self._limit:
            lines.append(rest)
            self._skip, rest = -1, b""
        self._rest = rest
        return [self._cut(line) for line in lines if line]
