"""Load, or compile, what reads logs by the block before the first block comes: compiling takes seconds."""

from typing import Final

from sensors.formats.access import AccessParser
from sensors.formats.auth import AuthParser
from sensors.formats.eve import EveParser
from sensors.formats.zeek import ZeekParser
from sensors.logs.builder import BatchBuilder
from sensors.logs.lines import Block
from sensors.logs.source import BlockParser

SAMPLES: Final[tuple[tuple[type[BlockParser], bytes], ...]] = (
    (AccessParser, b'192.0.2.1 - - [04/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 0 "-" "-"'),
    (AuthParser, b"Nov  4 10:00:01 a sshd[1]: Failed password for a from 192.0.2.1 port 1 ssh2"),
    (ZeekParser, b'{"_path":"conn","ts":1.5,"id.orig_h":"192.0.2.1","id.resp_h":"192.0.2.2","conn_state":"S0"}'),
    (
        ZeekParser,
        b"#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_pkts\tconn_state\n"
        b"1.5\t192.0.2.1\t1\t192.0.2.2\t22\ttcp\t-\t1\tS0",
    ),
    (
        EveParser,
        b'{"event_type":"flow","timestamp":"2026-11-04T10:00:00.5+0000","src_ip":"192.0.2.1","dest_ip":"192.0.2.2",'
        b'"flow":{"start":"2026-11-04T10:00:00.5+0000","end":"2026-11-04T10:00:00.5+0000"}}',
    ),
)
"""Lines of each format that is read by the block."""
_NOW = 1_795_600_000_000_000_000


def warm_up() -> None:
    """Read a few lines; nothing is kept of them."""
    for parser, text in SAMPLES:
        read(parser(), text.split(b"\n"))


def read(parser: BlockParser, lines: list[bytes]) -> int:
    """Return how many of these lines are read together."""
    out = BatchBuilder(_NOW)

    def one(index: int) -> None:
        parser.parse(lines[index], index + 1, out)

    return sum(parser.parse_block(Block(1, 0, lines), out, one))
