"""Flow files of nfcapd and nfdump (file layout 2, of nfdump 1.7), plain or compressed by bzip2.

Guarantees: blocks of at most `MAX_BLOCK` bytes are read one by one; a block or record that makes no sense is one fault
and costs nothing around it; both directions of a flow become one FLOW row (see `sensors.netflow.pairs`), known when the
flow ended. Not read: files of nfdump 1.6, and what LZO, LZ4 or Zstandard compressed (`nfdump -J 0 -r FILE`
unpacks a file in its place); records of firewall events, which count nothing.
"""

import bz2
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

import numpy as np

from sensors.errors import UnreadableInputError
from sensors.logs.watermark import Watermark
from sensors.netflow.pairs import Pairs
from sensors.netflow.records import ICMP, MOST_BYTES, MOST_PACKETS, RECORD
from sensors.registry import Format, Input
from sensors.values import Batch, Counters, Fault, Kind, Rows, Source, never

MAX_BLOCK: Final = 16 << 20
SLACK_NS: Final = 900_000_000_000
_MAGIC: Final = b"\x0c\xa5\x02\x00"
_OLD: Final = b"\x0c\xa5\x01\x00"
_HEADER: Final = struct.Struct("<HHIQBBHIQII")
_BLOCK: Final = struct.Struct("<IIHH")
_FLOWS: Final = 11  # type of a record of version 3
_GENERIC, _IPV4, _IPV6, _COUNTERS = 1, 2, 3, 5  # types of its elements
_RECORDS: Final = 3  # type of a block
_PLAIN, _BZ2 = 0, 2
_FORMS: Final = {1: "LZO", 3: "LZ4", 4: "Zstandard"}
_MS: Final = 1_000_000
_MAPPED: Final = 0xFFFF << 32
_LAST_MS: Final = 1 << 43


class NfcapdSource:
    """One flow file."""

    format = "nfcapd"

    def __init__(self, item: Input) -> None:
        """Open a file; raise `UnreadableInputError`."""
        self.name = item.name
        self.counters = Counters()
        self._path = item.path
        try:
            with item.path.open("rb") as stream:
                self._compression = _compression(stream.read(_HEADER.size), item.name)
                self.size = stream.seek(0, 2)
        except OSError as error:
            raise UnreadableInputError(f"{item.name}: {error.strerror or error}") from error
        self._pairs = Pairs()
        self._watermark = Watermark(SLACK_NS)

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield a batch a block; see `sensors.values.Source`."""
        with self._path.open("rb") as stream:
            stream.seek(_HEADER.size)
            for block in self._blocks(stream):
                records = np.array(list(self._records(block)), RECORD)
                if len(records):
                    now = int(records["last"].max())
                    yield self._batch(np.concatenate((self._pairs.add(records, now), self._pairs.expire(now))))
                if stop():
                    break
            yield self._batch(self._pairs.finish())

    def _batch(self, rows: Rows) -> Batch:
        rows = rows[np.argsort(rows["ts"], kind="stable")]
        self.counters.late += self._watermark.advance(rows["ts"])
        self.counters.rows += len(rows)
        return Batch((self.name,), self._watermark.value, {Kind.FLOW: rows} if len(rows) else {})

    def _blocks(self, stream: BinaryIO) -> Iterator[bytes]:
        while head := stream.read(_BLOCK.size):
            begin = stream.tell() - len(head)
            if len(head) < _BLOCK.size:
                return self._fault(begin, "the file ends inside a block")
            _, size, kind, _ = _BLOCK.unpack(head)
            if size > MAX_BLOCK:
                return self._fault(begin, "a block of a size that makes no sense")
            data = stream.read(size)
            self.counters.bytes = stream.tell()
            if len(data) < size:
                self._fault(begin, "the file ends inside a block")
            if kind != _RECORDS:
                continue
            plain = self._unpacked(data)
            if plain is None:
                self._fault(begin, "a block that can't be decompressed")
            else:
                yield plain
        return None

    def _unpacked(self, data: bytes) -> bytes | None:
        if self._compression == _PLAIN:
            return data
        try:
            return bz2.BZ2Decompressor().decompress(data, MAX_BLOCK)
        except (OSError, ValueError, EOFError):
            return None

    def _records(self, block: bytes) -> Iterator[tuple[int, ...]]:
        at = 0
        while at + 4 <= len(block):
            kind, size = struct.unpack_from("<HH", block, at)
            if size < 4 or at + size > len(block):
                self._fault(self.counters.bytes, "a record of a size that makes no sense")
                return
            if kind == _FLOWS:
                self.counters.read += 1
                yield from self._record(block[at : at + size])
            at += size

    def _record(self, data: bytes) -> Iterator[tuple[int, ...]]:
        elements = _elements(data)
        generic, address = elements.get(_GENERIC, b""), elements.get(_IPV4, b"") or elements.get(_IPV6, b"")
        if len(generic) < 47 or len(address) not in (8, 32):
            self.counters.ignored += 1
            return
        first, last, _, packets, size, *ports, proto, flags = struct.unpack_from("<QQQQQHHBB", generic)
        if len(address) == 8:
            ends = [half for number in struct.unpack("<II", address) for half in (0, _MAPPED | number)]
        else:
            ends = list(struct.unpack("<QQQQ", address))
        counted = elements.get(_COUNTERS, b"")
        _, back, back_size = struct.unpack_from("<QQQ", counted) if len(counted) >= 24 else (0, 0, 0)
        if not packets + back or last > _LAST_MS:
            self.counters.ignored += 1
            return
        self.counters.parsed += 1
        first = min(first, last)
        if proto in ICMP:
            ports = [ports[1] >> 8, ports[1] & 255]
        yield (
            self.counters.read, first * _MS, last * _MS, *ends, *ports, proto, flags, 0,
            min(packets, MOST_PACKETS), min(back, MOST_PACKETS), min(size, MOST_BYTES), min(back_size, MOST_BYTES),
            bool(back), False,
        )  # fmt: skip

    def _fault(self, offset: int, text: str) -> None:
        self.counters.read += 1
        self.counters.fault(Fault("nfcapd.block", offset, text))


def _elements(data: bytes) -> dict[int, bytes]:
    """Return the elements of a record by type, without their headers."""
    found: dict[int, bytes] = {}
    at = 12
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        if size < 4:
            break
        found.setdefault(kind, data[at + 4 : at + size])
        at += size
    return found


def _compression(header: bytes, name: str) -> int:
    """Return how blocks are compressed; raise `UnreadableInputError` for what isn't read."""
    if header.startswith(_OLD):
        raise UnreadableInputError(f"{name}: written by nfdump 1.6; `nfdump -r OLD -w NEW` of nfdump 1.7 converts it")
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise UnreadableInputError(f"{name}: not a flow file of nfdump 1.7")
    compression, encryption = header[16], header[17]
    if encryption or compression not in (_PLAIN, _BZ2):
        how = "encrypted" if encryption else f"compressed by {_FORMS.get(compression, 'an unknown method')}"
        raise UnreadableInputError(f"{name}: it is {how}; `nfdump -J 0 -r FILE` unpacks it")
    return compression


def _recognise(head: bytes, name: str) -> int:
    return 95 if head.startswith((_MAGIC, _OLD)) else 0


def _open(item: Input) -> Source:
    return NfcapdSource(item)


FORMAT = Format("nfcapd", "flow files of nfcapd (nfdump 1.7)", _recognise, _open)
