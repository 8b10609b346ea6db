"""Header compression of HTTP/2, the reading side (RFC 7541).

Guarantees: what a gateway sends is read as the RFC says or is an `HpackError`, never a guess; a block gives at most
`MAX_HEADERS` bytes of headers, counted as in section 4.1, and the table holds at most `TABLE` bytes. A block that came
before and changed no table is read once. No I/O.
"""

from collections import deque
from typing import Final

Header = tuple[bytes, bytes]
TABLE: Final = 4_096
MAX_HEADERS: Final = 16_384
_REMEMBERED: Final = 256

_STATIC_TEXT = (
    ":authority;:method=GET;:method=POST;:path=/;:path=/index.html;:scheme=http;:scheme=https;:status=200;"
    ":status=204;:status=206;:status=304;:status=400;:status=404;:status=500;accept-charset;"
    "accept-encoding=gzip, deflate;accept-language;accept-ranges;accept;access-control-allow-origin;age;"
    "allow;authorization;cache-control;content-disposition;content-encoding;content-language;content-length;"
    "content-location;content-range;content-type;cookie;date;etag;expect;expires;from;host;if-match;"
    "if-modified-since;if-none-match;if-range;if-unmodified-since;last-modified;link;location;max-forwards;"
    "proxy-authenticate;proxy-authorization;range;referer;refresh;retry-after;server;set-cookie;"
    "strict-transport-security;transfer-encoding;user-agent;vary;via;www-authenticate"
)  # fmt: skip
"""Appendix A."""
_STATIC: Final[tuple[Header, ...]] = tuple(
    (name.encode(), value.encode()) for name, _, value in (entry.partition("=") for entry in _STATIC_TEXT.split(";"))
)
_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b0806060605050506"
    "06060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f05060506050606"
    "060507070606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817171717151617"
    "1617171816151416161717151716161815161717151516151716171714161616171616171a1a1413161716191a1a1a1b1b1a1819"
    "13151a1b1b1a1b1815151a1a1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
)  # fmt: skip
"""Appendix B: the bits of each symbol's code. The codes follow, as they are canonical: by length, then by symbol."""
_EOS: Final = 256


class HpackError(Exception):
    """A block that breaks RFC 7541, or is too large."""


class Decoder:
    """Reads the blocks of one connection, in their order."""

    def __init__(self) -> None:
        self._table: deque[Header] = deque()
        self._size, self._limit = 0, TABLE
        self._read: dict[bytes, tuple[Header, ...]] = {}

    def decode(self, block: bytes) -> tuple[Header, ...]:
        """Return the headers of a block; raise `HpackError`."""
        known = self._read.get(block)
        if known is not None:
            return known
        headers, changed = self._decoded(block)
        if changed:
            self._read.clear()  # the same bytes mean something else now
        elif len(self._read) < _REMEMBERED:
            self._read[block] = headers
        return headers

    def _decoded(self, block: bytes) -> tuple[tuple[Header, ...], bool]:
        headers: list[Header] = []
        at = size = 0
        changed = False
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 7)
                header = self._at(index)
            elif first & 0xE0 == 0x20:
                limit, at = _integer(block, at, 5)
                if headers or limit > TABLE:
                    raise HpackError("a change of the table's size that is not allowed")
                self._limit, changed = limit, True
                self._evict()
                continue
            else:
                kept = first & 0xC0 == 0x40
                index, at = _integer(block, at, 6 if kept else 4)
                name = self._at(index)[0] if index else b""
                if not index:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                header = (name, value)
                if kept:
                    self._insert(header)
                    changed = True
            headers.append(header)
            size += _cost(header)
            if size > MAX_HEADERS:
                raise HpackError(f"headers of more than {MAX_HEADERS} bytes")
        return tuple(headers), changed

    def _at(self, index: int) -> Header:
        if 0 < index <= len(_STATIC):
            return _STATIC[index - 1]
        index -= len(_STATIC) + 1
        if 0 <= index < len(self._table):
            return self._table[index]
        raise HpackError("an index that means nothing")

    def _insert(self, header: Header) -> None:
        self._table.appendleft(header)
        self._size += _cost(header)
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            self._size -= _cost(self._table.pop())


def _cost(header: Header) -> int:
    return len(header[0]) + len(header[1]) + 32


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """Return an integer and where it ends (section 5.1)."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    for shift in (0, 7, 14):
        if at >= len(block):
            break
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise HpackError("an integer that is too large or does not end")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """Return a string and where it ends (section 5.2)."""
    if at >= len(block):
        raise HpackError("a string that is missing")
    packed = block[at] & 0x80
    length, at = _integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise HpackError("a string that does not end")
    text = block[at:end]
    return (unpacked(text) if packed else text), end


def _codes() -> dict[tuple[int, int], int]:
    codes, code, before = {}, 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate((*_LENGTHS, 30))):
        code <<= length - before
        codes[length, code] = symbol
        code, before = code + 1, length
    return codes


_SYMBOLS: Final = _codes()


def unpacked(text: bytes) -> bytes:
    """Return what a Huffman code stands for (section 5.2, appendix B); raise `HpackError`."""
    found = bytearray()
    code = length = 0
    for byte in text:
        for shift in range(7, -1, -1):
            code, length = code << 1 | byte >> shift & 1, length + 1
            symbol = _SYMBOLS.get((length, code))
            if symbol is None:
                if length >= 30:
                    raise HpackError("a code that stands for nothing")
                continue
            if symbol == _EOS:
                raise HpackError("an end within a string")
            found.append(symbol)
            code = length = 0
    if length > 7 or code != (1 << length) - 1:
        raise HpackError("a string that is not filled with ones")
    return bytes(found)
