"""Envoy's access log in its default format, also with what Istio adds.

    [2026-11-04T10:00:01.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "203.0.113.9" "agent" "-" "www.example.org" "upstream"

Guarantees: one HTTP row a request. The client is the downstream address where the line has one (Istio); otherwise the
last address of X-Forwarded-For, which Envoy itself appended; behind trusted proxies the one that they name. A request
without either gives no row.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.time import iso
from sensors.registry import Format, Input
from sensors.values import Source

_LINE = Pattern(
    r'^\[(\d{4}-\d\d-\d\dT[\d:.]+Z)\] "([^"]*)" (\d{1,3}) \S+ (?:\S+ \S+ "[^"]*" )?(\d+|-) (\d+|-) (\d+|-) (\d+|-) '
    r'"([^"]*)" "([^"]*)" "[^"]*" "([^"]*)" "[^"]*"(?: \S+ \S+ \S+ \[?([0-9A-Fa-f.:]+?)\]?:\d+ )?'
)
_REQUEST = Pattern(r"^([A-Z][A-Z0-9_-]{0,31}) (.*) HTTP/[\d.]+$")


class EnvoyParser:
    """Reads one line."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        fields = _LINE.groups(line)
        if fields is None:
            raise MalformedLineError("envoy.line", "not a line of Envoy's default access log")
        stamp, request, status, _, size, _, _, forwarded, agent, host, client = fields
        client = client or forwarded.rpartition(b",")[2].strip()
        if client in (b"", b"-"):
            return True
        method, path = _REQUEST.groups(request) or (b"", request)
        out.http(
            iso(stamp), seq, int(status), int(size) if size != b"-" else 0,
            orig=out.client(client, {"x-forwarded-for": forwarded}), host=_known(host), method=method,
            path=path, agent=_known(agent),
        )  # fmt: skip
        return True


def _known(value: bytes) -> bytes:
    return b"" if value == b"-" else value


def _recognise(head: bytes, name: str) -> int:
    return int(85 * share(head, _LINE.matches))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, EnvoyParser())


FORMAT = Format("envoy", "Envoy access log (default format)", _recognise, _open)
