"""A log of which nothing is known before its first line has come.

Guarantees: each line is tried until a format recognises one; from then on all are read as that format reads them, and
the source tells its name. A line before that which nothing recognises is malformed (`log.unrecognised`).
"""

from collections.abc import Callable

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.source import LineParser, LogSource
from sensors.registry import Input, best_format


class FirstLineParser:
    """Finds its format by the first line that has one."""

    def __init__(self, item: Input, found: Callable[[str], None]) -> None:
        self._item, self._found = item, found
        self._inner: LineParser | None = None

    @property
    def held(self) -> int:
        """Lines whose end hasn't come, as the inner parser says."""
        return int(getattr(self._inner, "held", 0))

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the rows of a line; see `LineParser`."""
        if self._inner is None:
            if not line.strip():
                return False
            self._inner = self._recognise(line)
        return self._inner.parse(line, seq, out)

    def _recognise(self, line: bytes) -> LineParser:
        head = line + b"\n"
        best = best_format(head, self._item.path.name)
        source = best.open(self._item.inside(head)) if best is not None and best.name != "pcap" else None
        if not isinstance(source, LogSource):
            raise MalformedLineError("log.unrecognised", "no format recognises it")
        self._found(source.format)
        return source.parser


def recognised(item: Input) -> LogSource:
    """Return a live log whose format its first line tells."""

    def found(name: str) -> None:
        source.format = name

    source = LogSource(item, "", FirstLineParser(item, found))
    return source
