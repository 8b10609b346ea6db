"""Find the time stamp in a line of a log whose form isn't known beforehand.

The first one in the first 500 bytes counts. Understood: ISO 8601 and its relatives (`2026-11-04T10:00:01.5Z`,
`2026/11/04 10:00:01`, `2026:11:04-10:00:01`), asctime, `04/Nov/2026:10:00:01 +0100`, `04-Nov-2026 10:00:01.5`, RFC
3164 without a year, `Nov 4, 2026 10:00:01 AM` (java.util.logging), `11-04 10:00:01.5` at the beginning, `11/04/2026
10:00:01` (month first unless that can't be), `04-11-2026 10:00:01` (day first), `261104 10:00:01` (MySQL), and seconds
or milliseconds since the epoch.
"""

from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.time import DAY, MONTHS, SECOND, apache, asctime, epoch, iso, rfc3164

_CLOCK = r"\d\d:\d\d:\d\d"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_FORMS = (
    ("iso", rf"\b\d{{4}}[-/.:]\d\d[-/.:]\d\d[T -]{_CLOCK}(?:[.,]\d+)?{_ZONE}"),
    ("asctime", rf"\b[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK}(?:\.\d+)? \d{{4}}\b"),
    ("named", rf"\b\d{{1,2}}[-/][A-Z][a-z]{{2}}[-/]\d{{4}}[: ]{_CLOCK}(?:\.\d+)?{_ZONE}"),
    ("java", r"\b[A-Za-z]{3} \d{1,2}, \d{4},? \d{1,2}:\d\d:\d\d [AP]M\b"),
    ("dated", rf"\b[A-Z][a-z]{{2}} +\d{{1,2}} \d{{4}} {_CLOCK}"),
    ("syslog", rf"\b[A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK}"),
    ("month", rf"\b\d\d/\d\d/\d{{4}}[ -]+{_CLOCK}(?:\.\d+)?"),
    ("day", rf"\b\d\d-\d\d-\d{{4}} {_CLOCK}(?: [+-]\d{{4}})?"),
    ("mysql", r"\b\d{6} [ \d]\d:\d\d:\d\d\b"),
    ("yearless", rf"^\d\d-\d\d {_CLOCK}\.\d+"),
    ("epoch", r"\b1\d{9}(?:\d{3})?(?:\.\d+)?\b"),
)
_STAMP = Pattern("^.{0,500}?(?:" + "|".join(f"(?P<{name}>{form})" for name, form in _FORMS) + ")")

_OF_DAY = Pattern(rf"^\[?({_CLOCK})(?:[.,](\d+))?\b")


def stamp(line: bytes, now_ns: int) -> int:
    """Return the instant (ns) of a line; raise `MalformedLineError`. `now_ns` gives a year that is left out."""
    found = _STAMP.groups(line)
    if found is None:
        raise MalformedLineError("log.time", "no time stamp")
    name, text = next((name, text) for name, text in zip(_STAMP.names, found, strict=True) if text)
    return _read(name, text, now_ns)


def has_no_year(line: bytes) -> bool:
    """Whether a line's time stamp leaves the year out."""
    found = _STAMP.groups(line)
    return found is not None and any(found[_STAMP.names.index(name)] for name in ("syslog", "yearless"))


def clock(line: bytes, now_ns: int) -> int:
    """Return the instant (ns) of a line that begins with a time of day: on the day of `now_ns` (UTC)."""
    found = _OF_DAY.groups(line)
    if found is None:
        raise MalformedLineError("log.time", "no time stamp")
    hour, minute, second = (int(part) for part in found[0].split(b":"))
    if hour > 23 or minute > 59 or second > 60:
        raise MalformedLineError("log.time", "not a time of day")
    fraction = int(found[1][:9].ljust(9, b"0") or b"0")
    return now_ns // DAY * DAY + (hour * 3600 + minute * 60 + second) * SECOND + fraction


def _read(name: str, text: bytes, now_ns: int) -> int:
    if name == "iso":
        return iso(text)
    if name == "asctime":
        return asctime(text)
    if name == "named":
        return _named(text)
    if name == "java":
        return _java(text)
    if name == "dated":
        month, day, year, clock = text.split()
        return asctime(b"Mon %b %b %b %b" % (month, day, clock, year))
    if name == "syslog":
        month, day, clock = text.split()
        return rfc3164(b"%b %2d %b" % (month, int(day), clock), now_ns)
    if name == "yearless":
        month, day, rest = text[:2], text[3:5], text[6:]
        if not b"01" <= month <= b"12":
            raise MalformedLineError("log.time", "no such month")
        whole = rfc3164(b"%b %2d %b" % (MONTHS[int(month) - 1], int(day), rest[:8]), now_ns)
        return whole + int(rest[9:18].ljust(9, b"0"))
    if name == "epoch":
        seconds = text.split(b".")[0]
        return epoch(text) if len(seconds) == 10 else epoch(seconds[:10] + b"." + seconds[10:])
    return _numeric(name, text)


def _named(text: bytes) -> int:
    day, month, rest = text.replace(b"-", b"/", 2).split(b"/", 2)
    clock, zone = rest[5:13], rest[13:]
    fraction = b""
    if zone[:1] == b".":
        digits = zone[1:].lstrip(b"0123456789")
        fraction, zone = zone[1 : len(zone) - len(digits)], digits
    whole = apache(b"%b/%b/%b:%b%b" % (day.rjust(2, b"0"), month, rest[:4], clock, zone))
    return whole + int(fraction[:9].ljust(9, b"0") or b"0")


def _java(text: bytes) -> int:
    month, day, year, clock, half = text.replace(b",", b"").split()
    hour, _, rest = clock.partition(b":")
    hours = int(hour) % 12 + (12 if half == b"PM" else 0)
    return asctime(b"Mon %b %b %02d:%b %b" % (month.capitalize(), day, hours, rest, year))


def _numeric(name: str, text: bytes) -> int:
    if name == "mysql":
        return iso(b"20%b-%b-%b %b" % (text[:2], text[2:4], text[4:6], text[7:].replace(b" ", b"0")))
    first, second, year = text[:2], text[3:5], text[6:10]
    month, day = (first, second) if name == "month" and first <= b"12" else (second, first)
    return iso(b"%b-%b-%b %b" % (year, month, day, text[10:].lstrip(b" -")))
