"""HAProxy's log in its formats httplog and httpslog, without or (format `auth`) with the header of syslog.

    203.0.113.9:33317 [06/Feb/2026:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 \
"GET /index.html HTTP/1.1"

Guarantees: one HTTP row a request, with status 0 where HAProxy gives -1 (no answer was sent); an ALERT row for a
heartbeat attack that was stopped (CVE-2014-0160). Captured headers are left out. Sessions in the formats tcplog and the
default, and failed TLS handshakes are understood and give nothing. Not done: formats of one's own.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.time import SECOND, apache
from sensors.registry import Format, Input
from sensors.values import Kind, Source

_HEAD = Pattern(
    r"^\[?([0-9A-Fa-f.:]+?)\]?:(\d+) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)\.(\d{1,6})(?: [+-]\d{4})?\] (.*)$"
)
_HTTP = Pattern(r'^\S+ \S+ [\d+/-]+ (-1|\d{3}) \+?(\d+) \S+ \S+ \S+ [\d+/]+ [\d+/]+ (?:.*? )?"(.*)"')
_REQUEST = Pattern(r"^([A-Z][A-Z0-9_-]{0,31}) (.*?)(?: HTTP/[\d.]+)?$")
_FULL_TARGET = Pattern(r"^https?://([^/?#]*)(.*)$")


def read_haproxy(line: bytes, seq: int, out: BatchBuilder) -> bool:
    """Add the row of a line that follows no or a syslog header; raise `MalformedLineError`."""
    fields = _HEAD.groups(line)
    if fields is None:
        return False
    client, _, stamp, fraction, rest = fields
    ts = apache(stamp) + int(fraction.ljust(9, b"0")) % SECOND
    if b"heartbeat attack" in rest and b'"' not in rest:
        text = "stopped a TLS heartbeat attack (CVE-2014-0160)"
        out.row(Kind.ALERT, (ts, seq, 0, out.host(client), 0, 0, out.text(text), out.text("haproxy"), 0, 1))
        return True
    request = _HTTP.groups(rest)
    if request is None:
        return True
    status, size, text_of_request = request
    method, path = _REQUEST.groups(text_of_request) or (b"", text_of_request)
    host, path = _FULL_TARGET.groups(path) or (b"", path)
    out.http(ts, seq, max(0, int(status)), int(size), orig=client, host=host, method=method, path=path)
    return True


class HaproxyParser:
    """Reads one line without a header."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        if not read_haproxy(line, seq, out):
            raise MalformedLineError("haproxy.line", "not a line of HAProxy's log")
        return True


def _recognise(head: bytes, name: str) -> int:
    return int(85 * share(head, _HEAD.matches))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, HaproxyParser())


FORMAT = Format("haproxy", "HAProxy HTTP log", _recognise, _open)
