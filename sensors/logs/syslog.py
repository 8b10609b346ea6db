"""Take the header off a line of a syslog file or of journalctl.

Understood: RFC 3164 (`Nov  4 10:00:01 host sshd[12]: text`, also without a host, as macOS and Solaris write it, with
microseconds, and after `<PRI>`), RFC 5424 (`<38>1 2026-11-04T10:00:01Z host sshd 12 - - text`), ISO time stamps as
rsyslog and journalctl write them (`2026-11-04T10:00:01.1+01:00 host sshd[12]: text`), TAI64N
(`@400000004c91b044077a9e94 sshd: text`, Bernstein's multilog), and asctime with the text right after it (vsftpd).
A line with no time stamp raises `MalformedLineError` with the code `syslog.header`. Nothing is verified about who
wrote a line: syslog can't tell.
"""

from functools import lru_cache
from typing import NamedTuple

from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern
from sensors.logs.time import SECOND, asctime, is_month, iso, rfc3164

_PRIORITY = Pattern(r"^<\d{1,3}>")
_LOOSE = Pattern(r"^([A-Z][a-z]{2}) +(\d{1,2}) (?:\d{4} )?(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? (.*)$")
_ASCTIME = Pattern(r"^((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d \d{4}) (.*)$")
_WEEKDAY = Pattern(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ")
_ISO = Pattern(r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?):? (.*)$")
_RFC5424 = Pattern(r'^(\S+) (\S+) (\S+) \S+ (?:-|(?:\[(?:[^"\]\\]|"(?:[^"\\]|\\.)*")*\])+) ?(?:\xef\xbb\xbf)?(.*)$')
_TAI_EPOCH = 0x400000000000000A  # TAI was 10 s ahead of UTC in 1970
_TAG_CHARS = 128


class Record(NamedTuple):
    """What a syslog line says."""

    ts: int
    host: bytes
    program: bytes
    pid: bytes
    message: bytes


def record(line: bytes, now_ns: int) -> Record:
    """Return the record of a line; `now_ns` gives the year that RFC 3164 leaves out."""
    if line[:1] == b"<":
        line = line[max(0, _PRIORITY.end(line)) :]
        if line[:2] == b"1 ":
            return _rfc5424(line[2:])
    if line[9:10] == line[12:13] == b":" and line[15:16] == b" " and is_month(line[:3]):
        return _tagged(rfc3164(line[:15], now_ns), line[16:])
    if line[:1].isdigit():
        return _iso(line)
    if line[:1] == b"@":
        return _tai64n(line)
    return _loose(line, now_ns)


def _no_header() -> MalformedLineError:
    return MalformedLineError("syslog.header", "no time stamp of syslog")


def _loose(line: bytes, now_ns: int) -> Record:
    if dated := _ASCTIME.groups(line):
        return Record(asctime(dated[0]), b"", b"", b"", dated[1])
    line = line[max(0, _WEEKDAY.end(line)) :]
    if line[:1].isdigit():
        return _iso(line)
    fields = _LOOSE.groups(line)
    if fields is None:
        raise _no_header()
    month, day, clock, fraction, rest = fields
    ts = rfc3164(b"%b %2d %b" % (month, int(day), clock), now_ns)
    return _tagged(ts + int(fraction.ljust(9, b"0") if fraction else b"0"), rest)


def _iso(line: bytes) -> Record:
    fields = _ISO.groups(line)
    if fields is None:
        raise _no_header()
    return _tagged(iso(fields[0]), fields[1])


def _tai64n(line: bytes) -> Record:
    label, _, rest = line[1:].partition(b" ")
    if len(label) != 24:
        raise _no_header()
    seconds, nanoseconds = int(label[:16], 16) - _TAI_EPOCH, int(label[16:], 16)
    if not (0 <= seconds < 1 << 32 and nanoseconds < SECOND):
        raise _no_header()
    return _tagged(seconds * SECOND + nanoseconds, rest)


def _rfc5424(text: bytes) -> Record:
    stamp, _, rest = text.partition(b" ")
    fields = _RFC5424.groups(rest)
    if fields is None:
        raise MalformedLineError("syslog.rfc5424", "a header that isn't that of RFC 5424")
    host, program, pid, message = fields
    return Record(iso(stamp), _given(host), _program(program), _given(pid), message)


def _given(value: bytes) -> bytes:
    return b"" if value == b"-" else value


def _tagged(ts: int, text: bytes) -> Record:
    """Split `host tag: message`; a first word that is a tag itself means that the host was left out."""
    first, _, rest = text.partition(b" ")
    if first[-1:] == b":" or first[:1] == b"[":
        host, tag, message = b"", first, rest
    else:
        host = first
        tag, _, message = rest.partition(b" ")
    program, pid = _tag(tag[:_TAG_CHARS])
    if message[:4] == b"[ID ":  # Solaris
        message = message.partition(b"] ")[2]
    return Record(ts, host, program, pid, message)


@lru_cache(4096)
def _tag(tag: bytes) -> tuple[bytes, bytes]:
    """Split `sshd[12]:`, `sshd(pam_unix)[12]:`, `[sshd]:` or `sshd:` into program and process id."""
    tag = tag.rstrip(b":")
    if tag[:1] == b"[":
        return _program(tag.strip(b"[]")), b""
    name, _, pid = tag.partition(b"[")
    return _program(name), pid.rstrip(b"]")


@lru_cache(4096)
def _program(name: bytes) -> bytes:
    """Return the bare name: no path, no PAM module in brackets, lower case."""
    return name.partition(b"(")[0].rpartition(b"/")[2].lower() if name[:1] == b"/" else name.partition(b"(")[0].lower()
