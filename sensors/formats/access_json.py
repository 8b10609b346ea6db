"""Access logs with one JSON object a line: Caddy, Traefik, Envoy (also as Istio sets it up), nginx, GitLab, ECS, OCSF.

Guarantees: one HTTP row a request whose client is told; which server wrote a line is known by its keys. For nginx,
whose format is the operator's, the keys are the names of its variables. The client is the one that trusted proxies
name in a header that was logged (`sensors.hops`), else the one that the server itself saw or was configured to trust.
Other objects (start-up messages) are `ignored`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sensors.hops import HEADERS
from sensors.logs.builder import BatchBuilder, Text, decode
from sensors.logs.errors import MalformedLineError
from sensors.logs.json import JsonObject, as_text, at, instant, read_object
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.registry import Format, Input
from sensors.values import Source


@dataclass(frozen=True, slots=True)
class _Server:
    """Where a server puts what; of several paths the first one with a value counts."""

    has: tuple[str, ...]
    time: tuple[str, ...]
    orig: tuple[str, ...]
    host: tuple[str, ...]
    method: tuple[str, ...]
    path: tuple[str, ...]
    status: str
    size: tuple[str, ...]
    agent: tuple[str, ...]
    referrer: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    direct: tuple[str, ...] = ()
    """The peer of the connection, where `orig` may be what the server made of headers."""
    header: Callable[[str], str] | None = None
    """Where a header of the request lies, by its name."""


_SERVERS = (
    _Server(  # Caddy, HTTP access logs
        has=("request.method", "request.uri", "status", "ts"),
        time=("ts",),
        orig=("request.client_ip", "request.remote_ip", "request.remote_addr"),
        host=("request.host",),
        method=("request.method",),
        path=("request.uri",),
        status="status",
        size=("size",),
        agent=("request.headers.User-Agent.0",),
        referrer=("request.headers.Referer.0",),
        user=("user_id",),
        direct=("request.remote_ip",),
        header=lambda name: f"request.headers.{name.title()}",
    ),
    _Server(  # Traefik, access log in JSON
        has=("ClientHost", "RequestMethod", "RequestPath", "DownstreamStatus"),
        time=("StartUTC", "time"),
        orig=("ClientHost",),
        host=("RequestHost",),
        method=("RequestMethod",),
        path=("RequestPath",),
        status="DownstreamStatus",
        size=("DownstreamContentSize",),
        agent=("request_User-Agent",),
        referrer=("request_Referer",),
        user=("ClientUsername",),
        header=lambda name: f"request_{name.title()}",
    ),
    _Server(  # Envoy, access log in JSON with the names of the defaults
        has=("start_time", "response_code", "method", "path"),
        time=("start_time",),
        orig=("downstream_remote_address", "downstream_direct_remote_address"),
        host=("authority",),
        method=("method",),
        path=("path",),
        status="response_code",
        size=("bytes_sent",),
        agent=("user_agent",),
        referrer=("referer",),
        direct=("downstream_direct_remote_address",),
        header=lambda name: name.replace("-", "_"),
    ),
    _Server(  # GitLab, production_json.log and api_json.log (and Rails with lograge)
        has=("method", "path", "status", "remote_ip", "time"),
        time=("time",),
        orig=("remote_ip",),
        host=("host",),
        method=("method",),
        path=("path",),
        status="status",
        size=("response_bytes",),
        agent=("ua", "user_agent"),
        referrer=("referer",),
        user=("username",),
    ),
    _Server(  # Elastic Common Schema, as Beats write access logs
        has=("@timestamp", "http.request.method", "http.response.status_code", "source"),
        time=("@timestamp",),
        orig=("source.ip", "source.address"),
        host=("url.domain", "destination.domain"),
        method=("http.request.method",),
        path=("url.original", "url.path"),
        status="http.response.status_code",
        size=("http.response.body.bytes", "http.response.bytes"),
        agent=("user_agent.original",),
        referrer=("http.request.referrer",),
        user=("user.name",),
    ),
    _Server(  # Open Cybersecurity Schema Framework, class HTTP Activity (4002)
        has=("class_uid", "time", "http_request.http_method", "http_response.code", "src_endpoint.ip"),
        time=("time",),
        orig=("src_endpoint.ip",),
        host=("http_request.url.hostname", "dst_endpoint.hostname"),
        method=("http_request.http_method",),
        path=("http_request.url.path", "http_request.url.url_string"),
        status="http_response.code",
        size=("http_response.body_length", "http_response.length"),
        agent=("http_request.user_agent",),
        referrer=("http_request.referrer",),
        user=("actor.user.name",),
    ),
    _Server(  # nginx, log_format escape=json
        has=("remote_addr", "status", "request_method"),
        time=("time_iso8601", "time_local", "msec", "time", "timestamp", "@timestamp"),
        orig=("remote_addr",),
        host=("host", "http_host", "server_name"),
        method=("request_method",),
        path=("request_uri", "uri"),
        status="status",
        size=("body_bytes_sent", "bytes_sent"),
        agent=("http_user_agent",),
        referrer=("http_referer", "http_referrer"),
        user=("remote_user",),
        header=lambda name: "proxy_protocol_addr" if name == "proxy-protocol" else "http_" + name.replace("-", "_"),
    ),
)


class AccessJsonParser:
    """Reads one line."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        value = read_object(line)
        server = _server(value)
        if server is None:
            return False
        orig = _client(value, server, out)
        if not orig:
            return False
        out.http(
            instant(_first(value, server.time), out.now_ns), seq,
            _number(at(value, server.status)), _number(_first(value, server.size)),
            orig=orig, host=_text(value, server.host), method=_text(value, server.method),
            path=_text(value, server.path), agent=_text(value, server.agent),
            referrer=_text(value, server.referrer), user=_text(value, server.user),
        )  # fmt: skip
        return True


def _server(value: JsonObject) -> _Server | None:
    return next((server for server in _SERVERS if all(at(value, path) is not None for path in server.has)), None)


def _client(value: JsonObject, server: _Server, out: BatchBuilder) -> str:
    orig = without_port(_text(value, server.orig))
    if not out.proxies or server.header is None:
        return orig
    peer = without_port(_text(value, server.direct)) or orig
    headers: dict[str, Text] = {name: _listed(at(value, server.header(name))) for name in HEADERS}
    client = decode(out.client(peer, headers))
    return orig if client == peer else client


def _listed(value: object) -> str:
    """Return a header's value; several lines of it are one list (RFC 9110, section 5.3)."""
    return ", ".join(map(as_text, value)) if isinstance(value, list) else as_text(value)


def _first(value: JsonObject, paths: tuple[str, ...]) -> object:
    return next((found for path in paths if (found := at(value, path)) not in (None, "", "-")), None)


def _text(value: JsonObject, paths: tuple[str, ...]) -> str:
    return as_text(_first(value, paths))


def _number(value: object) -> int:
    """Return a number, as such or in a text; nothing and "-" are 0; raise ValueError."""
    if value is None or value == "-":
        return 0
    if type(value) is int:
        return value
    if isinstance(value, str):
        return int(value[:20])
    raise ValueError("not a number")


def without_port(address: str) -> str:
    """Take the port off `192.0.2.1:80` or `[2001:db8::1]:80`."""
    if address[:1] == "[":
        return address[1:].partition("]")[0]
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() and ":" not in host else address


def _is_access(line: bytes) -> bool:
    try:
        return _server(read_object(line)) is not None
    except MalformedLineError:
        return False


def _recognise(head: bytes, name: str) -> int:
    return int(85 * share(head, _is_access)) if head.lstrip()[:1] == b"{" else 0


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, AccessJsonParser())


FORMAT = Format(
    "access_json", "access logs in JSON: Caddy, Traefik, Envoy, nginx, GitLab, ECS, OCSF", _recognise, _open
)
