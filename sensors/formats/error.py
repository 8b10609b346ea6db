"""Error logs of nginx (also as a mail proxy) and Apache.

    2026/11/24 23:57:32 [error] 5186#5186: *53 user "bob": password mismatch, client: 192.0.2.7, server: ...
    [Sat Nov 21 21:34:49.453232 2026] [authz_core:error] [pid 17:tid 18] [client 192.0.2.7:51380] AH01630: client denied

Guarantees: a refused password or user is an AUTH row, a refused request an HTTP row with the status that the message
implies (403, 404, ... ; 429 for a limit), a finding of ModSecurity or a function definition in a header
(CVE-2014-6271) an ALERT row. What a rule of the operator's forbids, a script that isn't there and an endless address
are both: a request that was refused, and a minor alert. Apache names no method and gives the file's path instead of
the request's, except in "Invalid URI". Lines without a client and other messages are ignored. nginx doesn't escape
what clients send: a line that names two different clients could be meant to blame one of them, and is malformed. The
access log of the same server tells most refusals as well.
"""

from dataclasses import dataclass

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern, PatternSet
from sensors.logs.recognise import share
from sensors.logs.source import LineParser, LogSource
from sensors.logs.time import asctime, iso
from sensors.registry import Format, Input
from sensors.values import AuthOutcome, Kind, Source

_NGINX = Pattern(
    r"^(?:[^/\[\]]{0,120}(?:\[\d+\])?: ){0,2}(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[[a-z]+\] \d+#\d+: (?:\*\d+ )?(.*)$"
)
_APACHE = Pattern(
    r"^\[([A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? \d{4})\] (?:\[\w*:?(?:\w+)\] )"
    r"(\[pid [\d:a-z ]+\] )?(?:\(\w+\)[^\[]*)?(?:\[(?:client|remote) (\[[^\]\s]*\](?::\d+)?|[^\]\s]*)\] )?(.*)$"
)
_AFTER_CLIENT = Pattern(
    r'^([0-9A-Fa-f.:]+)(?: using starttls)?(?:, server: ([^,]*))?(?:, login: "([^"]*)")?(?:, request: "(.*?)"(?:, |$))?'
    r'(?:.*?\bhost: "([^"]*)")?'
)
_CLIENT = b", client: "
_APACHE_LEAD = Pattern(r"^(?:\[client [^\]]*\] )?(?:AH\d{5}: )?(?:Digest: )?")
_REQUEST = Pattern(r"^([A-Z][A-Z0-9_-]{0,31}) (.*?)(?: HTTP/[\d.]+)?$")
_MODSECURITY_CLIENT = Pattern(r"^\[client ([^\]]*)\] (.*)$")
_MODSECURITY = Pattern(r'\[id "(\d{1,18})"\]')
_MODSECURITY_TEXT = Pattern(r'\[msg "((?:[^"\\]|\\.)*)"\]')

_FAILURE, _INVALID, _SUCCESS = AuthOutcome.FAILURE, AuthOutcome.INVALID_USER, AuthOutcome.SUCCESS


@dataclass(frozen=True, slots=True)
class _Message:
    """What a message means: an outcome of authentication, or the status of a refused request, an alert, or both."""

    expression: str
    outcome: AuthOutcome | None = None
    status: int = 0
    service: str = ""
    alert: str = ""


_FORBIDDEN = "a request that a rule of the server's forbids"
_NO_SCRIPT = "a request for a script that isn't there"
_NGINX_MESSAGES = (
    _Message(r'^user "(?P<user>.*)" was not found in "', _INVALID),
    _Message(r'^user "(?P<user>.*)": password mismatch', _FAILURE),
    _Message(r"^PAM: user '(?P<user>.*)' - not authenticated: ", _FAILURE),
    _Message(r"^client login failed: ", _FAILURE, service="mail"),
    _Message(r"^client logged in\b", _SUCCESS, service="mail"),
    _Message(r"^ModSecurity: ", alert="ModSecurity"),
    _Message(r"^access forbidden by ", status=403, alert=_FORBIDDEN),
    _Message(r'^directory index of ".*" is forbidden| failed \(13: ', status=403),
    _Message(r'"Primary script unknown"', status=404, alert=_NO_SCRIPT),
    _Message(r" failed \((?:2|20|36): | is not found \(\d+: ", status=404),
    _Message(r"^(?:delaying requests|limiting (?:requests|connections))\b", status=429),
    _Message(r"^client sent |^client intended to send too large ", status=400),
)
_APACHE_MESSAGES = (
    _Message(r"^user (?P<user>.*): (?:authentication|authorization) failure for ", _FAILURE),
    _Message(r"^user (?P<user>.*): password mismatch: ", _FAILURE),
    _Message(r"^user `(?P<user>.*)' in realm `.*' not found: ", _INVALID),
    _Message(r"^user (?P<user>.*) not found: ", _INVALID),
    _Message(r"^Authorization of user (?P<user>.*) to access .* failed, reason: ", _FAILURE),
    _Message(r"^client used wrong authentication scheme", _FAILURE),
    _Message(
        r"^(?:Got error '|FastCGI: server .*: )?PHP message: user (?P<user>.*) authentication failure for Baikal",
        _FAILURE, service="baikal",
    ),
    _Message(r"^ModSecurity: ", alert="ModSecurity"),
    _Message(
        r"^\S+: (?:warning: \S+: ignoring function definition attempt|error importing function definition for )",
        alert="function definition in a request header (CVE-2014-6271)",
    ),
    _Message(r"^client denied by server configuration: (?P<path>.*)$", status=403, alert=_FORBIDDEN),
    _Message(r"^Cannot serve directory (?P<path>\S*): ", status=403),
    _Message(r"^(?:Directory index forbidden by |access to .* denied)", status=403),
    _Message(r"^(?:attempt to invoke directory as script|Options ExecCGI is off in .*): (?P<path>.*)$", status=403),
    _Message(r"^File does not exist: (?P<path>.*)$", status=404),
    _Message(r"^script '(?P<path>.*)' not found or unable to stat", status=404, alert=_NO_SCRIPT),
    _Message(r"^script not found or unable to stat: (?P<path>.*)$", status=404, alert=_NO_SCRIPT),
    _Message(r"^stderr from (?P<path>.*): script not found or unable to stat", status=404, alert=_NO_SCRIPT),
    _Message(r"Primary script unknown", status=404, alert=_NO_SCRIPT),
    _Message(r"^Invalid URI in request (?P<request>.*)$", status=400),
    _Message(r"^Invalid method in request (?P<path>.*)$", status=400),
    _Message(r"^request failed: URI too long", status=414, alert="an address longer than the server takes"),
    _Message(r"^request failed: |^client sent ", status=400),
)  # fmt: skip


class _Messages:
    """The messages of one server, compiled."""

    def __init__(self, messages: tuple[_Message, ...]) -> None:
        self._messages = messages
        self._which = PatternSet([message.expression for message in messages])
        self._patterns = [Pattern(message.expression) for message in messages]

    def find(self, text: bytes) -> tuple[_Message, dict[str, bytes]] | None:
        """Return the first message that fits and what its groups hold."""
        index = self._which.first(text)
        if index < 0:
            return None
        pattern = self._patterns[index]
        return self._messages[index], dict(zip(pattern.names, pattern.groups(text) or (), strict=False))


class ErrorParser:
    """Reads one line of an error log."""

    def __init__(self, others: LineParser | None = None) -> None:
        self._others = others
        """Whoever reads lines of another form among the others."""
        self._nginx, self._apache = _Messages(_NGINX_MESSAGES), _Messages(_APACHE_MESSAGES)

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        if fields := _NGINX.groups(line):
            return self._read_nginx(iso(fields[0]), fields[1], seq, out)
        if fields := _APACHE.groups(line):
            return self._read_apache(fields, seq, out)
        if self._others is not None:
            try:
                return self._others.parse(line, seq, out)
            except MalformedLineError as error:
                if error.code != "access.line":
                    raise
        raise MalformedLineError("error.line", "not a line of an error log of nginx or Apache")

    def _read_nginx(self, ts: int, text: bytes, seq: int, out: BatchBuilder) -> bool:
        named, text = _MODSECURITY_CLIENT.groups(text) or (b"", text)
        parts = text.split(_CLIENT)
        if named and text.startswith(b"ModSecurity: "):  # the module names its client first, and may be alone to do so
            parts = [parts[0], named]
        found = self._nginx.find(parts[0] if len(parts) < 3 else text)
        if len(parts) < 2 or found is None:
            return False
        clients = [_AFTER_CLIENT.groups(part) for part in parts[1:]]
        fields = clients[-1]
        if fields is None or {each and each[0] for each in clients} != {fields[0]}:
            raise MalformedLineError("error.client", "more than one client is named")
        client, _, login, request, host = fields
        message, groups = found
        method, path = _REQUEST.groups(request) or (b"", request)
        if login:
            groups["user"] = login
        _tell(message, groups, out, ts, seq, parts[0], (client, method, path, host, message.service or "nginx"))
        return True

    def _read_apache(self, fields: tuple[bytes, ...], seq: int, out: BatchBuilder) -> bool:
        stamp, process, client, text = fields
        if not client:
            return False
        text, _, _ = text[max(0, _APACHE_LEAD.end(text)) :].partition(b", referer: ")
        found = self._apache.find(text)
        if found is None:
            return False
        message, groups = found
        method, path = _REQUEST.groups(groups.get("request", b"")) or (b"", groups.get("path", b""))
        path = path or groups.get("request", b"")
        about = (_address(client, bool(process)), method, path, b"", message.service or "apache")
        _tell(message, groups, out, asctime(stamp), seq, text, about)
        return True


def _tell(
    message: _Message,
    groups: dict[str, bytes],
    out: BatchBuilder,
    ts: int,
    seq: int,
    text: bytes,
    about: tuple[bytes, bytes, bytes, bytes, str],
) -> None:
    client, method, path, host, service = about
    if message.outcome is not None:
        out.auth(
            ts, seq, message.outcome, orig=client, user=groups.get("user", b""), service=service, method="password"
        )
    if message.status:
        out.http(ts, seq, message.status, 0, orig=client, host=host, method=method, path=path)
    if message.alert:
        number, told = _MODSECURITY.groups(text) or (b"0",), _MODSECURITY_TEXT.groups(text) or (b"",)
        codes = (out.host(client), 0, 0, out.text(told[0] or message.alert.encode()), out.text(message.alert))
        out.row(Kind.ALERT, (ts, seq, 0, *codes, int(number[0]), 3 if message.status else 2))


def _address(client: bytes, with_port: bool) -> bytes:
    """Take the port off; Apache 2.4 (its lines name the process) writes one behind IPv6 addresses without brackets."""
    if client[:1] == b"[":
        return client[1:].partition(b"]")[0]
    head, colon, port = client.rpartition(b":")
    return head if colon and port.isdigit() and (with_port or b":" not in head) else client


def _recognise(head: bytes, name: str) -> int:
    fits = share(head, lambda line: bool(_NGINX.matches(line) or _APACHE.matches(line)))
    return int(85 * fits) + (5 if fits and "error" in name else 0)


def _open(item: Input) -> Source:
    from sensors.formats.access import AccessParser  # a container writes both to one stream

    return LogSource(item, FORMAT.name, ErrorParser(AccessParser()))


FORMAT = Format("error", "nginx and Apache error log", _recognise, _open)
