r"""Events in the formats CEF (0 and 1, ArcSight) and LEEF (1 and 2, QRadar), with or without a syslog header.

    Nov  4 10:00:01 gw CEF:0|Vendor|Product|1.0|201|Threat blocked|7|src=203.0.113.9 dst=192.0.2.1 dpt=443 act=blocked
    LEEF:1.0|Vendor|Product|1.0|login-failed|src=203.0.113.9\tusrName=bob\tsev=5

Guarantees: an event with a source address, of severity 6 or less (of 10), that speaks of a login and says how it ended
is an AUTH row; another one of severity 4 or more is an ALERT row of severity 1 (9 and 10), 2 (7 and 8) or 3. Others
give no row. The time is the event's own (rt, end, start, devTime), else the first one in the line. Events without a
time are malformed.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.stamps import stamp
from sensors.registry import Format, Input
from sensors.values import AuthOutcome, Kind, Source

_EVENT = Pattern(r"(?:\b(?:CEF:\d+|(LEEF):[12]\.0)|^[01])\|(.*)$")  # a collector may have taken CEF: off
_KEY = Pattern(r"^(.*?) ?([\w.]+)$")
_LOGIN = Pattern(r"(?i)log[io]n\b|logged (?:in|on)\b|sign(?:ed)?[ -]?in\b|authenticat|\badmin accessed\b")
_FAILED = Pattern(r"(?i)fail|denied|invalid|incorrect|unsuccessful|reject|block")
_SUCCEEDED = Pattern(r"(?i)success|succeeded|accepted|allowed|passed|logged (?:in|on)\b|signed in\b|accessed\b")
_NAMED = {b"low": 2, b"medium": 5, b"high": 8, b"very-high": 10, b"critical": 10, b"unknown": 0, b"informational": 0}
_TIMES = (b"rt", b"end", b"start", b"devTime")


class CefParser:
    """Reads one event."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        fields = _EVENT.groups(line)
        if fields is None:
            raise MalformedLineError("cef.line", "neither CEF nor LEEF")
        leef, rest = fields
        head = _split(rest, 4 if leef else 6)
        if len(head) < (5 if leef else 7):
            raise MalformedLineError("cef.header", "the header has fewer parts than it should")
        given = _attributes(head[-1]) if leef else _extension(head[-1])
        ts = _time(given, line, out.now_ns)
        client = given.get(b"src", b"")
        if not client:
            return False
        name, severity = (head[3], given.get(b"sev", b"5")) if leef else (head[4], head[5])
        _tell(given, client, name, _severity(severity), b" ".join(head[:2]), ts, seq, out)
        return True


def _tell(
    given: dict[bytes, bytes], client: bytes, name: bytes, severity: int, product: bytes, ts: int, seq: int,
    out: BatchBuilder,
) -> None:  # fmt: skip
    said = b" ".join((name, given.get(b"outcome", b""), given.get(b"act", b""), given.get(b"reason", b"")))
    if severity < 7 and _LOGIN.matches(name) and (_FAILED.matches(said) or _SUCCEEDED.matches(said)):
        outcome = AuthOutcome.FAILURE if _FAILED.matches(said) else AuthOutcome.SUCCESS
        user = given.get(b"duser") or given.get(b"suser") or given.get(b"usrName", b"")
        out.auth(ts, seq, outcome, orig=client, resp=given.get(b"dst", b""), user=user, service=product)
    elif severity >= 4:
        port = int(given.get(b"dpt") or given.get(b"dstPort") or b"0")
        level = 1 if severity >= 9 else 2 if severity >= 7 else 3
        signature = given.get(b"cs1") if given.get(b"cs1Label", b"").lower() == b"signature" else None
        texts = out.text(signature or name), out.text(given.get(b"cat") or product)
        row = (ts, seq, 0, out.host(client), out.host(given.get(b"dst", b"")), port, *texts, 0, level)
        out.row(Kind.ALERT, row)


def _split(text: bytes, times: int) -> list[bytes]:
    r"""Split at the first `times` bars that aren't escaped (`\|`)."""
    parts: list[bytes] = []
    held = b""
    for piece in text.split(b"|"):
        if len(parts) == times:
            held += piece + b"|"
        elif piece.endswith(b"\\"):
            held += piece[:-1] + b"|"
        else:
            parts.append(held + piece)
            held = b""
    return [*parts, held[:-1]] if held else parts


def _extension(text: bytes) -> dict[bytes, bytes]:
    r"""Return what `key=value key=value` holds; values may have blanks, and `=` in them is escaped (`\=`)."""
    given: dict[bytes, bytes] = {}
    *pieces, final = text.replace(b"\\=", b"\0").split(b"=")
    key = b""
    for piece in pieces:
        value, following = _KEY.groups(piece) or (piece, b"")
        given[key] = value.replace(b"\0", b"=")
        key = following
    given[key] = final.replace(b"\0", b"=").strip()
    return given


def _attributes(text: bytes) -> dict[bytes, bytes]:
    """Return the attributes of LEEF: separated by tabs, or by the character that version 2 names first."""
    separator = b"\t"
    if len(text) > 1 and text[1:2] == b"|":
        separator, text = text[:1], text[2:]
    pairs = (pair.partition(b"=") for pair in text.split(separator))
    return {key.strip(): value for key, _, value in pairs}


def _severity(text: bytes) -> int:
    return int(text[:4]) if text.strip().isdigit() else _NAMED.get(text.strip().lower(), 0)


def _time(given: dict[bytes, bytes], line: bytes, now_ns: int) -> int:
    for name in _TIMES:
        if name in given:
            return stamp(given[name], now_ns)
    return stamp(line, now_ns)


def _recognise(head: bytes, name: str) -> int:
    return int(88 * share(head, _EVENT.matches))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, CefParser())


FORMAT = Format("cef", "CEF and LEEF events", _recognise, _open)
