"""Logs of containers: as Kubernetes keeps them (CRI, /var/log/containers) and as Docker does (json-file).

    2026-11-04T10:00:01.123456789Z stdout F 203.0.113.9 - - [04/Nov/2026:10:00:01 +0000] "GET / HTTP/1.1" 200 ...
    {"log":"203.0.113.9 - - [...] ...\\n","stream":"stdout","time":"2026-11-04T10:00:01.123456789Z"}

Guarantees: what is inside is recognised by the beginning of the file and read as that format reads it; lines that were
cut in parts are put together (up to 64 KiB) and count with the last part. Where nothing is recognised, lines are read
as the format `applications` reads them. The time is that of the line inside. Lines without the wrapping are malformed.
"""

from sensors.formats.applications import ApplicationParser
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.json import read_object
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import head_lines
from sensors.logs.source import SLACK_NS, LineParser, LogSource
from sensors.registry import Format, Input, formats
from sensors.values import Source

_CRI = Pattern(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) ([FP]) (.*)$")
_MAX_JOINED = 65_536


def unwrap(line: bytes) -> tuple[bytes, bool] | None:
    """Return the line of the container and whether it ends here; None where there is no wrapping."""
    if fields := _CRI.groups(line):
        return fields[1], fields[0] == b"F"
    if line[:1] != b"{":
        return None
    try:
        value = read_object(line)
    except MalformedLineError:
        return None
    text = value.get("log")
    if not isinstance(text, str) or "stream" not in value or "time" not in value:
        return None
    return text.encode("utf-8", "backslashreplace").removesuffix(b"\n").removesuffix(b"\r"), text.endswith("\n")


class ContainerParser:
    """Takes the wrapping off and hands the line on."""

    def __init__(self, inner: LineParser) -> None:
        self._inner = inner
        self._held = b""
        self.held = 0
        """Lines that are parts of one whose end hasn't come."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the rows of a line; see `LineParser`."""
        if not line.strip():
            return False
        wrapped = unwrap(line)
        if wrapped is None:
            raise MalformedLineError("container.line", "neither CRI's nor Docker's wrapping")
        text, ends = wrapped
        whole, self._held = self._held + text, b""
        if not ends and len(whole) < _MAX_JOINED:
            self._held, self.held = whole, self.held + 1
            return True
        self.held = 0
        return self._inner.parse(whole, seq, out)


def _inside(head: bytes, name: str) -> tuple[int, Format | None, bytes]:
    """Return how many of the first lines are wrapped, in percent, what is inside, if that is known, and the lines."""
    lines = head_lines(head)
    found = [wrapped for wrapped in map(unwrap, lines) if wrapped is not None]
    if not found or 2 * len(found) < len(lines):
        return 0, None, b""
    plain = b"".join(text + b"\n" for text, _ in found)
    others = (candidate for candidate in formats() if candidate.name not in (FORMAT.name, "pcap"))
    score, best = max(((other.recognise(plain, name), other) for other in others), key=lambda scored: scored[0])
    return 100 * len(found) // len(lines), best if score > 0 else None, plain


def _recognise(head: bytes, name: str) -> int:
    if head[:1] != b"{" and not _CRI.matches(head.partition(b"\n")[0]):
        return 0
    share, inner, _ = _inside(head, name)
    return 95 * share // 100 if inner else 0


def _open(item: Input) -> Source:
    _, inner, plain = _inside(item.head(), item.path.name)
    source = inner.open(item.inside(plain)) if inner else None
    if isinstance(source, LogSource):
        return LogSource(item, FORMAT.name, ContainerParser(source.parser), source.slack_ns)
    return LogSource(item, FORMAT.name, ContainerParser(ApplicationParser()), SLACK_NS)


FORMAT = Format("container", "container logs of Kubernetes (CRI) and Docker around any other format", _recognise, _open)
