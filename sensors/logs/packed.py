"""Take gzip (RFC 1952) and Zstandard (RFC 8878) off a stream of bytes, with bounded memory.

Guarantees: bytes that are neither pass as they are; several members or frames, one after the other, are one stream;
what comes before a damage is given, and the damage is one `Fault` at the offset that the plain bytes had reached. No
more than `PIECE_BYTES` are inflated at a time, so that a small file can't fill the memory; a Zstandard frame that asks
for a window of more than 128 MiB is damaged.
"""

import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from sensors.values import Counters, Fault

PIECE_BYTES = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is gzip or Zstandard."""
    return head.startswith((GZIP_MAGIC, ZSTD_MAGIC))


def plain_head(head: bytes, limit: int) -> bytes:
    """Return at most `limit` of the first plain bytes of a file that begins with `head`; of what is damaged, less."""
    found = bytearray()
    for piece in plain(iter((head,)), Counters()):
        found += piece
        if len(found) >= limit:
            break
    return bytes(found[:limit])


def plain(pieces: Iterator[bytes], counters: Counters) -> Iterator[bytes]:
    """Yield the plain bytes of a stream, whatever it is packed in."""
    first = next(pieces, b"")
    if first.startswith(GZIP_MAGIC):
        yield from _unpacked(_Gzip(), first, pieces, counters, "log.gzip", "gzip")
    elif first.startswith(ZSTD_MAGIC):
        yield from _unpacked(_Zstd(), first, pieces, counters, "log.zstd", "Zstandard")
    else:
        yield first
        yield from pieces


class _DamageError(Exception):
    """The packed data can't be what they say they are; `salvaged` is what was still plain."""

    def __init__(self, salvaged: bytes = b"") -> None:
        super().__init__()
        self.salvaged = salvaged


class _Unpacker(Protocol):
    """One kind of packing: members or frames, each followed by another, by padding or by the end."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take data; return what is plain of them and what is left to be fed; raise `_DamageError`."""
        ...

    def whole(self) -> bool:
        """Whether a member has just ended; another one may begin."""
        ...

    def begin(self) -> None:
        """Get ready for the next member."""
        ...


def _unpacked(
    unpacker: _Unpacker, data: bytes, pieces: Iterator[bytes], counters: Counters, code: str, name: str
) -> Iterator[bytes]:
    reached = 0
    while True:
        try:
            out, data = unpacker.feed(data)
        except _DamageError as damage:
            yield damage.salvaged
            _broken(counters, code, reached + len(damage.salvaged), f"the {name} data are damaged here")
            return
        if out:
            reached += len(out)
            yield out
        if unpacker.whole():
            data = data or next(pieces, b"")
            if not data.strip(b"\0"):  # padding after the last member is allowed
                return
            unpacker.begin()
        elif not data and not out:  # nothing more is in what it was given
            data = next(pieces, b"")
            if not data:
                _broken(counters, code, reached, f"the {name} data end too early")
                return


def _broken(counters: Counters, code: str, offset: int, text: str) -> None:
    """Count damaged data as one piece that was read and not understood, so that the counters add up."""
    counters.read += 1
    counters.fault(Fault(code, offset, text))


class _Gzip:
    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def whole(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        before = self._member.copy()
        try:
            out = self._member.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise _DamageError(_salvaged(before, data)) from error
        return out, self._member.unused_data if self._member.eof else self._member.unconsumed_tail


def _salvaged(member: "zlib._Decompress", data: bytes) -> bytes:
    """Return what can be inflated before the damage; zlib itself gives nothing of a piece that is damaged."""
    out = bytearray()
    try:
        for index in range(len(data)):
            out += member.decompress(data[index : index + 1])
    except zlib.error:
        pass
    return bytes(out)


class _Zstd:
    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        self._module = zstd
        self.begin()

    def begin(self) -> None:
        self._frame = self._module.ZstdDecompressor(options={self._module.DecompressionParameter.window_log_max: 27})

    def whole(self) -> bool:
        return bool(self._frame.eof)

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            out = bytes(self._frame.decompress(data, PIECE_BYTES))
        except self._module.ZstdError as error:
            raise _DamageError from error
        return out, bytes(self._frame.unused_data) if self._frame.eof else b""
