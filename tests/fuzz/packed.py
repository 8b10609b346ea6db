"""What logs are wrapped in: gzip and Zstandard, and within them the lines of containers (CRI, Docker).

The first byte says how the packed bytes are cut; the rest are they.
"""

import contextlib

from sensors.formats.applications import ApplicationParser
from sensors.formats.container import ContainerParser
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.lines import LineCutter
from sensors.logs.packed import PIECE_BYTES, plain, plain_head
from sensors.values import Counters

MOST = 1 << 22


def one(data: bytes) -> None:
    if not data:
        return
    step, packed = 1 + data[0], data[1:]
    counters = Counters()
    parser, cutter, size = ContainerParser(ApplicationParser()), LineCutter(1024), 0
    for piece in plain((packed[at : at + step] for at in range(0, len(packed), step)), counters):
        assert len(piece) <= PIECE_BYTES
        size += len(piece)
        if size > MOST:
            return
        for block in cutter.feed(piece):
            lines(parser, block.lines)
    for block in cutter.finish():
        lines(parser, block.lines)
    assert counters.read == counters.malformed == len(counters.faults) <= 1
    assert all(0 <= fault.offset <= size for fault in counters.faults)
    assert len(plain_head(packed, 100)) <= 100


def lines(parser: ContainerParser, found: list[bytes]) -> None:
    for seq, line in enumerate(found, 1):
        with contextlib.suppress(MalformedLineError, ValueError):
            parser.parse(line, seq, BatchBuilder(0))
