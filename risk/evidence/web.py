"""Attacks on web applications, from the fields of HTTP requests (T1190, T1595, T1110).

A single request that carries an injection is strong evidence; asking for files that only an intruder wants is weaker
and adds up; many different missing paths, or many refused logins, show a tool at work. The client is blamed; where the
log's client is a proxy, so is that, which the response must know.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from risk.behaviours import Behaviour, Fact, LogView, Mark, Place, Reason, Weight
from risk.paths import is_fished
from risk.patterns import IN_HEADERS, classes_in, is_scanner
from risk.windows.keyed import Decayed, Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

MAX_KEYS = 1 << 16
MAX_REFUSING = 4096
QUOTED = 160
"""Characters of a hostile text that are kept in words."""
DISCUSSED = "a text about attacks, or a test by the owner"

REASONS = {
    "lookup": (Reason("web.lookup", "T1190", Weight(0.9), 7200, 1e-6, DISCUSSED), "a lookup injection (Log4Shell)"),
    "command": (Reason("web.command", "T1190", Weight(0.85), 7200, 1e-5, DISCUSSED), "a command injection"),
    "code": (Reason("web.code", "T1190", Weight(0.85), 7200, 1e-5, DISCUSSED), "a code injection"),
    "sql": (Reason("web.sql", "T1190", Weight(0.83), 7200, 1e-5, DISCUSSED), "an SQL injection"),
    "traversal": (Reason("web.traversal", "T1190", Weight(0.82), 7200, 1e-5, DISCUSSED), "a path traversal"),
    "script": (Reason("web.script", "T1190", Weight(0.81), 7200, 1e-5, DISCUSSED), "a script injection (XSS)"),
    "exploit": (Reason("web.exploit", "T1190", Weight(0.82), 7200, 1e-5, DISCUSSED), "a known exploit's path"),
    "sensitive": (
        Reason("web.sensitive", "T1595.003", Weight(0.38), 3600, 1e-3, "the owner's backup or deployment", 0.92),
        "a file that only an intruder asks for",
    ),
}
SCANNER = Reason("web.scanner", "T1595.002", Weight(0.7), 3600, 1e-4, "a scan that the owner ordered", 0.92)
PROXY = Reason("web.open_proxy", "T1090", Weight(0.35), 3600, 1e-3, "a client with a wrong proxy setting", 0.85)
RELAY = Reason("web.relay", "T1090", Weight(0.74), 3600, 1e-5, "a mail program set to this server as its proxy", 0.9)
MAIL_PORTS = (":25", ":465", ":587")
GARBLED = Reason("web.garbled", "T1595", Weight(0.08), 1800, 1e-2, "a client that speaks TLS to a plain port", 0.6)
REFUSED = Reason("web.refused", "T1110", Weight(0.04), 900, 5e-2, "somebody who mistyped a password", 0.35)
FISHING = Reason("web.fishing", "T1595.003", Weight(0.05), 1800, 2e-2, "a dead link to what was here once", 0.35)
PROBING = Reason("web.probing", "T1595.003", Weight(0.5, 0.27, 0.92), 3600, 1e-3, "a page full of dead links")
GUESSING = Reason(
    "web.guessing", "T1110", Weight(0.55, 0.27, 0.92), 3600, 1e-3, "an application that polls with an expired session"
)
LOGIN_WORDS = ("login", "signin", "sign-in", "logon", "auth", "session", "xmlrpc.php", "password", "token")


@dataclass(frozen=True, slots=True)
class _Request:
    """The fields of one request, as text."""

    method: str
    path: str
    agent: str
    referrer: str
    status: int
    server: str
    """As far as the observation names it."""


_Forms = dict[tuple[str, str], None]
"""(server, path) of logins that say by their status that a password was wrong; the oldest goes first."""


class _Client:
    """What one client asked for lately."""

    __slots__ = ("guesses", "missing", "refusals", "told")

    def __init__(self) -> None:
        self.missing: Distinct[str] = Distinct(60)
        self.refusals = Decayed(300)
        self.guesses = Decayed(300)
        self.told = Told()


class Requests:
    """Windows of clients over HTTP requests, and what single requests carry."""

    def __init__(self) -> None:
        self._clients: Keyed[str, _Client] = Keyed(MAX_KEYS, _Client)
        self._refusing: _Forms = {}

    def evicted(self) -> int:
        """Return how many clients were forgotten for want of room."""
        return self._clients.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Judge requests in order and yield what they show."""
        texts = view.texts
        columns = view.columns("orig", "method", "path", "agent", "referrer", "status", "host", "resp")
        for row, (orig, method, path, agent, referrer, status, host, resp) in enumerate(columns):
            name = texts[orig]
            if not name:
                continue
            request = _Request(texts[method], texts[path], texts[agent], texts[referrer], status, texts[host or resp])
            place, client = view.place(row), self._clients[name]
            yield from _carried(place, row, name, request)
            yield from _habits(place, row, client, name, request, self._refusing)


def _carried(place: Place, row: int, name: str, request: _Request) -> Iterator[Mark]:
    """Yield what the request itself carries: the strongest class, and the tool that sent it."""
    in_headers = (*classes_in(request.agent), *classes_in(request.referrer))
    found = classes_in(request.path) or tuple(name for name in in_headers if name in IN_HEADERS)
    if found:
        reason, what = REASONS[found[0]]
        shown = request.path if classes_in(request.path) else request.agent
        words = f" sent {what}: ", f"{request.method} {shown}"[:QUOTED]
        yield _mark(reason, place, row, name, words, [Fact(f"web_{found[0]}", 1, 0.01)])
    if request.agent and is_scanner(request.agent):
        words = " uses a tool that looks for weaknesses: ", request.agent[:QUOTED]
        yield _mark(SCANNER, place, row, name, words, [Fact("web_scanner", 1, 0.01)])
    if 400 <= request.status < 500 and (
        request.method == "CONNECT" or request.path.startswith(("http://", "https://"))
    ):
        words = " took this server for an open proxy: ", f"{request.method} {request.path}"[:QUOTED]
        mail = request.method == "CONNECT" and request.path.endswith(MAIL_PORTS)
        yield _mark(RELAY if mail else PROXY, place, row, name, words, [Fact("web_open_proxy", 1, 0.01)])


def _habits(place: Place, row: int, client: _Client, name: str, request: _Request, refusing: _Forms) -> Iterator[Mark]:
    """Yield what the client's latest requests show together."""
    status = request.status
    if status == 400 and not request.method.isalpha():
        yield _mark(GARBLED, place, row, name, (" sent what isn't HTTP",), [Fact("web_garbled", 1, 0.1)])
    if status in (404, 410) and is_fished(request.path):
        asked = " asked for what tools try everywhere and isn't here: ", request.path[:QUOTED]
        yield _mark(FISHING, place, row, name, asked, [Fact("web_fishing", 1, 0.1)])
    if status in (400, 403, 404, 405, 410):
        client.missing.add(place.ts, request.path.partition("?")[0][:256])
        missing = client.missing.count.value
        if PROBING.due(client.told, missing / 8, place.ts):
            words = (f" asked for {missing:.0f} different missing or forbidden paths within a minute",)
            yield _mark(PROBING, place, row, name, words, [Fact("web_missing_60", missing, 2)], missing / 8)
    yield from _logins(place, row, client, name, request, refusing)


def _logins(place: Place, row: int, client: _Client, name: str, request: _Request, refusing: _Forms) -> Iterator[Mark]:
    path = request.path.partition("?")[0].lower()
    login = request.method == "POST" and any(word in path for word in LOGIN_WORDS)
    if request.status == 401 or (login and request.status == 403):
        client.refusals.add(place.ts)
        refusing[request.server, path] = None
        if len(refusing) > MAX_REFUSING:
            del refusing[next(iter(refusing))]
        words = f" was refused: {request.method} ", request.path[:QUOTED]
        yield _mark(REFUSED, place, row, name, words, [Fact("web_refused", 1, 1)])
    elif not login or request.status >= 300 or (request.server, path) in refusing:
        return  # a redirection lets in; where refusals have a status of their own, other answers let in
    guesses, refusals = client.guesses.add(place.ts, float(login)), client.refusals.add(place.ts, 0.0)
    strength = max(guesses / 16, refusals / 8)
    if GUESSING.due(client.told, strength, place.ts):
        what = f" sent {guesses:.0f} logins within five minutes and was refused {refusals:.0f} times"
        facts = [Fact("web_guesses_300", guesses, 2), Fact("web_refusals_300", refusals, 2)]
        yield _mark(GUESSING, place, row, name, (what,), facts, strength)


def _mark(
    reason: Reason, place: Place, row: int, name: str, words: tuple[str, ...], facts: list[Fact], strength: float = 1
) -> Mark:
    who: Entity = host_entity(name)
    return Mark(row, reason.evidence(who, place, strength, (who, *words), facts))


BEHAVIOUR = Behaviour("web", "Attacks on web applications", (), {Kind.HTTP: Requests})
