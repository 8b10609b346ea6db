"""Suricata's and Snort's fast.log.

    11/04/2026-10:00:01.86  [**] [1:2008578:4] ET SCAN x [**] [Priority: 2] {UDP} 203.0.113.9:5116 -> 192.0.2.1:5060

Guarantees: one ALERT row a line, `orig` being the left address. Without a year (Snort) the latest one is taken that
doesn't put the line more than a day into the future.
"""

from sensors.formats.access_json import without_port
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.time import MONTHS, iso, rfc3164
from sensors.registry import Format, Input
from sensors.values import Kind, Source

_LINE = Pattern(
    r"^(\d\d)/(\d\d)(?:/(\d{2,4}))?-(\d\d:\d\d:\d\d)\.(\d{1,9}) +(?:\[\w+\] +)?\[\*\*\] "
    r"\[\d+:(\d{1,18}):\d+\] (.*) \[\*\*\] (?:\[Classification: ([^\]]*)\] )?"
    r"\[Priority: (\d{1,2})\] \{([^}]*)\} (\S+) -> (\S+)\s*$"
)


class FastParser:
    """Reads one alert."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        fields = _LINE.groups(line)
        if fields is None:
            raise MalformedLineError("fast.line", "not a line of fast.log")
        month, day, year, clock, fraction, number, signature, category, priority, _, orig, resp = fields
        ts = _time(month, day, year, clock, out.now_ns) + int(fraction.ljust(9, b"0"))
        left, right = without_port(orig.decode("latin-1")), without_port(resp.decode("latin-1"))
        port = resp.rpartition(b":")[2]
        row = (
            ts, seq, 0, out.host(left), out.host(right), int(port) if port.isdigit() and port != resp else 0,
            out.text(signature), out.text(category), int(number), int(priority),
        )  # fmt: skip
        out.row(Kind.ALERT, row)
        return True


def _time(month: bytes, day: bytes, year: bytes, clock: bytes, now_ns: int) -> int:
    if year:
        return iso(b"%b-%b-%b %b" % (year if len(year) == 4 else b"20" + year, month, day, clock))
    if not 1 <= int(month) <= 12:
        raise MalformedLineError("log.time", "no such month")
    return rfc3164(b"%b %2d %b" % (MONTHS[int(month) - 1], int(day), clock), now_ns)


def _recognise(head: bytes, name: str) -> int:
    return int(85 * share(head, _LINE.matches))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, FastParser())


FORMAT = Format("fast", "Suricata and Snort fast.log", _recognise, _open)
