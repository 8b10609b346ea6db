"""Access logs of Nginx Proxy Manager, proxied and fallback hosts, and of NPMplus.

    [04/Nov/2026:10:00:01 +0000] HIT 200 200 - GET https www.example.org "/a" [Client 203.0.113.9] [Length 1] "-" "-"
    [04/Nov/2026:10:00:01 +0000] www.example.org 203.0.113.9 0.227 "GET /a HTTP/2.0" 200 125 440 - agent

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
_PLUS = Pattern(
    r"^\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] (\S+) ([0-9A-Fa-f.:]+) [\d.-]+ "
    r'"(.*)" (\d{3}) (\d+) \d+ (\S+) (.*)$'
)
_REQUEST = Pattern(r"^([A-Z][A-Z0-9_-]{0,31}) (.*) HTTP/[\d.]+$")


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
            return _read_plus(line, seq, out) or self._other(line, seq, out)
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


def _read_plus(line: bytes, seq: int, out: BatchBuilder) -> bool:
    fields = _PLUS.groups(line)
    if fields is None:
        return False
    stamp, host, client, request, status, size, referrer, agent = fields
    method, path = _REQUEST.groups(request) or (b"", request)
    out.http(
        apache(stamp), seq, int(status), int(size), orig=client, host=b"" if host == b"_" else host, method=method,
        path=path, agent=b"" if agent == b"-" else agent, referrer=b"" if referrer == b"-" else referrer,
    )  # fmt: skip
    return True


def _recognise(head: bytes, name: str) -> int:
    return min(90, int(250 * share(head, lambda line: _LINE.matches(line) or _PLUS.matches(line))))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, NpmParser())


FORMAT = Format("npm", "Nginx Proxy Manager and NPMplus access logs", _recognise, _open)
