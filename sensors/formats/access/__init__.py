"""Access logs of nginx and Apache: common and combined, also with the virtual host in front.

    203.0.113.9 - alice [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "http://referrer/" "agent" ...
    www.example.org:443 203.0.113.9 - - [...] ...

Guarantees: one HTTP row a line, whatever the client sent. A request line that isn't `METHOD target HTTP/n` (TLS to a
plain port, another protocol, nothing at all) becomes a row without a method whose path is the request as logged.
Escapes (\\x16, \\") are left as the server wrote them. Where proxies are trusted, a third quoted text
right after the agent is X-Forwarded-For, as in the `main` format of nginx; other fields after the agent are ignored.
Nothing is judged here.
"""

from collections.abc import Callable

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.lines import Block
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LineParser, LogSource
from sensors.logs.time import apache
from sensors.registry import Format, Input
from sensors.values import Source

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_TAIL = Pattern(rf"^{_QUOTED} (\S+) (\S+)(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?)?")
_HEAD = Pattern(r'^(?:\S+ )?\S+ \S+ [^\[]*\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "')
_STAMPED = Pattern(r"^\d{4}-\d\d-\d\dT")  # a collector put something in front
_METHOD = Pattern(r"^[A-Z][A-Z0-9_-]{0,31}$")


class AccessParser:
    """Reads one access line, or a block of them."""

    def __init__(self, others: LineParser | None = None) -> None:
        self._others = others
        """Whoever reads lines of another form among the others."""

    def parse_block(self, block: Block, out: BatchBuilder, one: Callable[[int], None]) -> tuple[int, int]:
        """Add the rows of a block; see `BlockParser`."""
        from sensors.formats.access.plain import add_requests  # the kernels are heavy
        from sensors.logs.columns import Columns

        if out.proxies:  # what follows the agent is none of the kernels' columns
            for index in range(len(block.lines)):
                one(index)
            return 0, 0
        lines = Columns(block)
        add_requests(lines, out)
        return lines.others(one)

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line:
            return False
        end = line.find(b'] "')
        start = line.rfind(b" [", 0, end)
        if start < 0 or end < 0:
            if self._others is not None:
                try:
                    return self._others.parse(line, seq, out)
                except MalformedLineError as error:
                    if error.code != "error.line":
                        raise
            raise MalformedLineError("access.line", "not an access line in the common or combined format")
        request, status, size, referrer, agent, forwarded = _tail(line[end + 2 :])
        host, client, user = _front(line[:start])
        method, path = _request(request)
        out.http(
            apache(line[start + 2 : end]), seq, _number(status), _number(size),
            orig=out.client(client, {"x-forwarded-for": forwarded}), host=host, method=method, path=path,
            agent=known(agent), referrer=known(referrer), user=known(user),
        )  # fmt: skip
        return True


def _front(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Return virtual host, client and user; the user may hold blanks, and the identity between them never counts."""
    fields = text.split(b" ")
    if len(fields) > 3 and fields[1] != b"-" and fields[2] == b"-":
        return host_name(fields[0]), fields[1], b" ".join(fields[3:])
    if len(fields) < 3 or not fields[0]:
        raise MalformedLineError("access.client", "client, identity and user are missing")
    return b"", fields[0], b" ".join(fields[2:])


def _tail(text: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes]:
    """Return request, status, size, referrer, agent and X-Forwarded-For; "" for those that aren't there."""
    if b'\\"' in text:
        fields = _TAIL.groups(text)
        if fields is None:
            raise MalformedLineError("access.request", "the request isn't followed by status and size")
        request, status, size, referrer, agent, forwarded = fields
        return request, status, size, referrer, agent, forwarded
    parts = text.split(b'"')
    numbers = parts[2].split() if len(parts) > 2 else []
    if len(numbers) < 2:
        raise MalformedLineError("access.request", "the request isn't followed by status and size")
    referrer, agent = (parts[3], parts[5]) if len(parts) > 5 else (b"", b"")
    forwarded = parts[7] if len(parts) > 8 and parts[6] == b" " else b""
    return parts[1], numbers[0], numbers[1], referrer, agent, forwarded


def _request(request: bytes) -> tuple[bytes, bytes]:
    """Split a request line (RFC 9112, section 3) into method and target; ("", all of it) where it isn't one."""
    method, _, rest = request.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if target and version.startswith(b"HTTP/") and _METHOD.matches(method):
        return method, target
    return b"", request


def known(value: bytes) -> bytes:
    """Return a value; nothing for the "-" that stands for it."""
    return b"" if value == b"-" else value


def _number(value: bytes) -> int:
    return 0 if value == b"-" else int(value)


def host_name(host: bytes) -> bytes:
    """Return a virtual host without its port."""
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _recognise(head: bytes, name: str) -> int:
    return int(85 * share(head, lambda line: _HEAD.matches(line) and not _STAMPED.matches(line))) + (
        5 if "access" in name else 0
    )


def _open(item: Input) -> Source:
    from sensors.formats.error import ErrorParser  # a container writes both to one stream

    return LogSource(item, FORMAT.name, AccessParser(ErrorParser()))


FORMAT = Format("access", "nginx and Apache access log (common, combined)", _recognise, _open)
