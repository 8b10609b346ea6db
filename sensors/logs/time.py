"""Time stamps of logs, as nanoseconds since the epoch (UTC).

Guarantees: each function takes the bytes of one time stamp and returns an instant between 1970 and 2100, or raises
`MalformedLineError` with the code `log.time`; no clock is read. A stamp without a zone is taken as UTC. A stamp without
a year (RFC 3164) gets the latest year that doesn't put it more than a day after `now_ns`: what was logged is past, give
or take a clock that is ahead or a zone that isn't told. Not done: zone names other than UTC, GMT and Z.
"""

from datetime import date
from functools import lru_cache

from sensors.logs.errors import MalformedLineError

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
_END = 4_102_444_800  # 2100-01-01, in seconds
_EPOCH_DAY = date(1970, 1, 1).toordinal()
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTHS = {name: number for number, name in enumerate(MONTHS, 1)}
_CACHED = 4096


def is_month(text: bytes) -> bool:
    """Whether these are the three letters of a month's English name."""
    return text in _MONTHS


def _seconds(year: int, month: int, day: int, clock: bytes) -> int:
    """Return the seconds since the epoch of a date and `hh:mm:ss`; raise ValueError."""
    hour, minute, second = int(clock[:2]), int(clock[3:5]), int(clock[6:8])
    if len(clock) != 8 or not (clock[2] == clock[5] == 0x3A and 0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError
    if not 0 <= second <= 60:  # 60 is a leap second
        raise ValueError
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    return days * 86_400 + hour * 3600 + minute * 60 + second


def _bounded(seconds: int) -> int:
    if not 0 <= seconds < _END:
        raise MalformedLineError("log.time", "a time stamp before 1970 or after 2099")
    return seconds


def _bad(what: str) -> MalformedLineError:
    return MalformedLineError("log.time", f"not {what}")


@lru_cache(_CACHED)
def rfc3164(text: bytes, now_ns: int) -> int:
    """Read `Nov  4 10:00:01` (RFC 3164, section 4.1.2); the year follows from `now_ns`."""
    try:
        month, day, clock = _MONTHS[text[:3]], int(text[4:6]), text[7:]
        latest = (now_ns + DAY) // SECOND
        year = date.fromordinal(latest // 86_400 + _EPOCH_DAY).year
        for candidate in range(year, year - 9, -1):  # 29 February is at most 8 years away
            try:
                seconds = _seconds(candidate, month, day, clock)
            except ValueError:
                continue
            if seconds <= latest:
                return _bounded(seconds) * SECOND
    except (KeyError, ValueError, OverflowError):
        pass
    raise _bad("an RFC 3164 time stamp")


@lru_cache(_CACHED)
def apache(text: bytes) -> int:
    """Read `10/Oct/2000:13:55:36 -0700`, the %t of Apache and $time_local of nginx."""
    try:
        seconds = _seconds(int(text[7:11]), _MONTHS[text[3:6]], int(text[:2]), text[12:20])
        return _bounded(seconds - _zone(text[20:].lstrip())) * SECOND
    except (KeyError, ValueError):
        raise _bad("an Apache time stamp") from None


@lru_cache(_CACHED)
def asctime(text: bytes) -> int:
    """Read `Fri Jan 19 12:20:33 2007` (C's asctime; Apache's error log, with or without microseconds)."""
    try:
        _, month, day, clock, year = text.split()
        clock, _, fraction = clock.partition(b".")
        seconds = _bounded(_seconds(int(year), _MONTHS[month], int(day), clock))
        return seconds * SECOND + _fraction(fraction)
    except (KeyError, ValueError):
        raise _bad("a time stamp of asctime") from None


@lru_cache(_CACHED)
def _civil(text: bytes) -> int:
    if len(text) != 19:
        raise ValueError
    return _seconds(int(text[:4]), int(text[5:7]), int(text[8:10]), text[11:])


def iso(text: bytes) -> int:
    """Read `2026-11-04T10:00:01.123456+01:00` (RFC 3339); `/`, blank and comma may stand for `-`, `T` and dot."""
    try:
        seconds, rest, fraction = _civil(text[:19]), text[19:], b""
        if rest[:1] in (b".", b","):
            zone = rest[1:].lstrip(b"0123456789")
            fraction = rest[1 : len(rest) - len(zone)]
            rest = zone
        return _bounded(seconds - _zone(rest.strip())) * SECOND + _fraction(fraction)
    except ValueError:
        raise _bad("an ISO 8601 time stamp") from None


def epoch(text: bytes) -> int:
    """Read `1700828217.314165`, seconds since the epoch."""
    seconds, _, fraction = text.partition(b".")
    if not (seconds.isdigit() and len(seconds) <= 10):
        raise _bad("seconds since the epoch")
    try:
        return _bounded(int(seconds)) * SECOND + _fraction(fraction)
    except ValueError:
        raise _bad("seconds since the epoch") from None


def epoch_number(value: object) -> int:
    """Take seconds since the epoch as a number from JSON, to a microsecond (a double holds no more)."""
    if type(value) not in (int, float) or not 0 <= value < _END:  # type: ignore[operator]  # a number by then
        raise _bad("seconds since the epoch")
    return round(value * 1e6) * 1000  # type: ignore[operator]  # as above


def _fraction(digits: bytes) -> int:
    if not digits:
        return 0
    if not digits.isdigit():
        raise ValueError
    return int(digits[:9].ljust(9, b"0"))


@lru_cache(256)
def _zone(text: bytes) -> int:
    """Return the seconds east of UTC of `+01:00`, `-0700`, `+01`, `Z`, `UTC` or nothing."""
    if text in (b"", b"Z", b"z", b"UTC", b"GMT"):
        return 0
    digits = text[1:].replace(b":", b"")
    if text[:1] not in (b"+", b"-") or len(digits) not in (2, 4) or not digits.isdigit():
        raise ValueError
    seconds = int(digits[:2]) * 3600 + int(digits[2:] or b"0") * 60
    if seconds > 86_400:
        raise ValueError
    return -seconds if text[:1] == b"-" else seconds
