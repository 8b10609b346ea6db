"""Access logs of Nginx Proxy Manager: proxied and fallback hosts.

    [04/Nov/2026:10:00:01 +0000] HIT 200 200 - GET https www.example.org "/a" [Client 203.0.113.9] [Length 1] "-" "-"

Guarantees: one HTTP row a request; the status is the one the client got. Lines of nginx's error and access logs among
them are read as the formats `error` and `access` read them.
"""

from sensors.formats.access import AccessParser
from sensors.formats.error import ErrorParser
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.time import apache
from sensors.registry import Format, Input
from sensors.values import Source

_LINE = Pattern(
    r"^\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] (?:\S+ \S+ )?(\d{3}) - ([A-Z]+) (?:\S+) (\S+) "
    r'"(.*)" \[Client ([0-9A-Fa-f.:]+)\] \[Length (\d+|-)\] (?:\[[^\]]*\] )*"([^"]*)" "([^"]*)"'
)


class NpmParser:
    """Reads one line."""

    def __init__(self) -> None:
        self._others = AccessParser(), ErrorParser()

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        fields = _LINE.groups(line)
        if fields is None:
            return self._other(line, seq, out)
        stamp, status, method, host, path, client, size, agent, referrer = fields
        out.http(
            apache(stamp), seq, int(status), 0 if size == b"-" else int(size), orig=client, host=host, method=method,
            path=path, agent=b"" if agent == b"-" else agent, referrer=b"" if referrer == b"-" else referrer,
        )  # fmt: skip
        return True

    def _other(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        for parser in self._others:
            try:
                return parser.parse(line, seq, out)
            except (MalformedLineError, ValueError):
                continue
        raise MalformedLineError("npm.line", "not a line of Nginx Proxy Manager's logs")


def _recognise(head: bytes, name: str) -> int:
    return min(90, int(250 * share(head, _LINE.matches)))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, NpmParser())


FORMAT = Format("npm", "Nginx Proxy Manager access log", _recognise, _open)
