"""Logs in the W3C Extended Log File Format: IIS, Amazon CloudFront.

Guarantees: one HTTP row a request, whichever fields there are beyond date, time and c-ip; the line `#Fields` says where
they are and may come again with others. A line before the first one is malformed; when a file is followed from its end,
the one at its beginning counts. The `+` in agents (IIS) become blanks again, the `%20` of CloudFront don't.
(W3C Working Draft WD-logfile-960323.)
"""

import contextlib

from sensors.hops import HEADERS
from sensors.logs.builder import BatchBuilder, Text
from sensors.logs.errors import MalformedLineError
from sensors.logs.recognise import head_lines
from sensors.logs.source import LogSource
from sensors.logs.time import iso
from sensors.registry import Format, Input
from sensors.values import Source

_NEEDED = ("date", "time", "c-ip")
_FIELDS = b"#Fields:"


class W3cParser:
    """Reads one line, remembering the fields."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        if line[:1] == b"#":
            self.learn(line)
            return True
        if not self._names:
            raise MalformedLineError("w3c.no-fields", "a line before any #Fields")
        values = line.split(b"\t") if b"\t" in line else line.split(b" ")
        if len(values) != len(self._names):
            raise MalformedLineError("w3c.columns", "not as many values as #Fields names")
        given = {name: value for name, value in zip(self._names, values, strict=True) if value != b"-"}
        return self._tell(given, seq, out)

    def learn(self, line: bytes) -> None:
        """Take the names of the fields from a line `#Fields`; other directives change nothing."""
        if line.startswith(_FIELDS):
            names = line[len(_FIELDS) :].decode("latin-1").lower().split()
            if not set(_NEEDED) <= set(names):
                raise MalformedLineError("w3c.fields", "date, time or c-ip isn't among the fields")
            self._names = names

    def _tell(self, given: dict[str, bytes], seq: int, out: BatchBuilder) -> bool:
        query = given.get("cs-uri-query", b"")
        path = given.get("cs-uri-stem", b"") + (b"?" + query if query else b"")
        out.http(
            iso(b"%bT%bZ" % (given.get("date", b""), given.get("time", b""))), seq,
            int(given.get("sc-status", b"0")), int(given.get("sc-bytes", b"0")),
            orig=_client(given, out), resp=given.get("s-ip", b""),
            host=given.get("x-host-header") or given.get("cs-host") or given.get("cs(host)", b""),
            method=given.get("cs-method", b""), path=path, user=given.get("cs-username", b""),
            agent=given.get("cs(user-agent)", b"").replace(b"+", b" "), referrer=given.get("cs(referer)", b""),
        )  # fmt: skip
        return True


def _client(given: dict[str, bytes], out: BatchBuilder) -> Text:
    headers: dict[str, Text] = {name: given.get(f"cs({name})") or given.get(name, b"") for name in HEADERS}
    return out.client(given.get("c-ip", b""), headers)


def _recognise(head: bytes, name: str) -> int:
    for line in head_lines(head):
        if line.startswith(_FIELDS):
            names = line.decode("latin-1").lower().split()
            return 85 if {*_NEEDED, "cs-method"} <= set(names) else 0
    return 0


def _open(item: Input) -> Source:
    parser = W3cParser()
    if item.follow:
        with contextlib.suppress(MalformedLineError):
            for line in head_lines(item.head()):
                parser.learn(line)
    return LogSource(item, FORMAT.name, parser)


FORMAT = Format("w3c", "W3C extended log (IIS, CloudFront)", _recognise, _open)
