"""Lines of logs in text, of daemons, services, servers and firewalls: the first byte chooses the format."""

from sensors.formats.access import AccessParser
from sensors.formats.applications import ApplicationParser
from sensors.formats.auth import AuthParser
from sensors.formats.binetflow import BinetflowParser
from sensors.formats.cef import CefParser
from sensors.formats.container import ContainerParser
from sensors.formats.envoy import EnvoyParser
from sensors.formats.error import ErrorParser
from sensors.formats.fast import FastParser
from sensors.formats.firewall import ProxmoxParser
from sensors.formats.haproxy import HaproxyParser
from sensors.formats.npm import NpmParser
from sensors.formats.vpcflow import VpcFlowParser
from sensors.formats.w3c import W3cParser
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.lines import Block
from sensors.values import TEXT_COLUMNS

MAX_BYTES = 1500
PARSERS = (
    AuthParser, ApplicationParser, AccessParser, ErrorParser, HaproxyParser, EnvoyParser, W3cParser, NpmParser,
    CefParser, FastParser, VpcFlowParser, BinetflowParser, ProxmoxParser, lambda: ContainerParser(AuthParser()),
)  # fmt: skip
NOW = 1_795_600_000_000_000_000


def one_by_one(parser, lines):
    """What a parser makes of lines, one by one: how often each end came, and the rows."""
    ends, out = [0, 0, 0], BatchBuilder(NOW)

    def one(index):
        try:
            ends[parser.parse(lines[index], index + 1, out)] += 1
        except (MalformedLineError, ValueError):
            ends[2] += 1

    for index in range(len(lines)):
        one(index)
    return ends, rows(out)


def by_block(parser, lines):
    """The same, of the block as a whole."""
    ends, out = [0, 0, 0], BatchBuilder(NOW)

    def one(index):
        line = lines[index]
        try:
            ends[parser.parse(line[:-1] if line[-1:] == b"\r" else line, index + 1, out)] += 1
        except (MalformedLineError, ValueError):
            ends[2] += 1

    parsed, ignored = parser.parse_block(Block(1, 0, lines), out, one)
    return [ends[0] + ignored, ends[1] + parsed, ends[2]], rows(out)


def rows(out):
    batch, _ = out.build("fuzz", 0)
    for text in batch.texts:
        text.encode()
    told = []
    for kind, table in batch.tables.items():
        names, texts = table.dtype.names, TEXT_COLUMNS[kind]
        for row in table.tolist():
            named = zip(names, row, strict=True)
            told.append((kind, *(batch.texts[value] if name in texts else value for name, value in named)))
    return told


def feed(parsers, data):
    """Give lines to the parser that the first byte chooses, in both ways where it has two."""
    if not data:
        return
    parser = parsers[data[0] % len(parsers)]
    lines = data[1:].split(b"\n")
    ends, told = one_by_one(parser(), [line.removesuffix(b"\r") for line in lines])
    assert sum(ends) == len(lines)
    if hasattr(parser, "parse_block"):
        assert by_block(parser(), lines) == (ends, told)


def one(data: bytes) -> None:
    feed(PARSERS, data)
