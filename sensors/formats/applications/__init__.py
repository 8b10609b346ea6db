"""Logs of services that write their own files: databases, mail, directories, voice, web applications, proxies.

Guarantees: one AUTH row for each line that tells of a failed, refused or successful login and whose client is named
(in the line, or an earlier one of the same session). Which messages those are is data: `sensors.logs.services`. A line
is tried with the services that its shape fits, in the order of the data; JSON objects by their keys. Text in front of
a JSON object or a time stamp (the name of a container) is passed over. A line without a time stamp takes that of the
last one of known shape, as Java and Erlang write them; a time of day is taken with the day of that one, else of the
present. Lines of known shape without news, and all others, are `ignored`. Lines with a syslog header among them are
read as the format `auth` reads them, which knows the same services.
"""

import contextlib
from functools import cache

from sensors.formats.auth import AuthParser
from sensors.logs.attempts import Attempts, Teller
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.objects import ObjectReader, has_keys_of_a_service
from sensors.logs.patterns import Pattern, PatternSet
from sensors.logs.recognise import head_lines
from sensors.logs.rules import RuleSet
from sensors.logs.services import Service, services
from sensors.logs.source import LogSource
from sensors.logs.stamps import clock, stamp
from sensors.logs.syslog import record
from sensors.registry import Format, Input
from sensors.values import Source

_EVENT_LIST = Pattern(r'^\s*\{\s*"Records"\s*:\s*\[\s*\{\s*"(?:eventVersion|userIdentity|eventTime)"')
"""A file of CloudTrail."""
_ANY_NOW = 4_000_000_000_000_000_000  # in 2096: only whether there is a time stamp matters


class _Shapes:
    """Which services a line may come from."""

    def __init__(self) -> None:
        pairs = [(shape, service) for service in services() for shape in service.shapes]
        self._which = PatternSet([shape for shape, _ in pairs])
        self._services = [service for _, service in pairs]
        self._rules: dict[str, RuleSet] = {}

    def find(self, line: bytes) -> list[Service]:
        """Return the services whose shape a line has, in the order of the data."""
        return list({self._services[index].name: self._services[index] for index in self._which.all(line)}.values())

    def rules(self, service: Service) -> RuleSet:
        """Return the rules of a service, compiled when first asked for."""
        if service.name not in self._rules:
            self._rules[service.name] = RuleSet(service.rules)
        return self._rules[service.name]


@cache
def _shapes() -> _Shapes:
    return _Shapes()


class ApplicationParser:
    """Reads one line, remembering the clients of sessions and the line before."""

    def __init__(self) -> None:
        self._attempts = Attempts()
        self._objects = ObjectReader()
        self._syslog = AuthParser()
        self._shapes = _shapes()
        self._before = b""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        if is_object(line):
            return self._objects.read(line[line.index(b"{") :], seq, out)
        fitting = self._shapes.find(line)
        before = self._before
        if fitting and not (line[2:3] == b":" or line[3:4] == b":"):  # but for a mere time of day
            self._before = line
        for service in fitting:
            if found := self._shapes.rules(service).find(line):
                rule, fields = found
                teller = Teller(_time(line, before, out.now_ns), seq, service.name.encode(), fields.get("session", b""))
                self._attempts.tell(teller, rule, fields, 1, out)
                return True
        return self._read_syslog(line, seq, out)

    def _read_syslog(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        try:
            return self._syslog.parse(line, seq, out)
        except (MalformedLineError, ValueError):
            return False


def is_object(line: bytes) -> bool:
    """Whether a line ends as a JSON object does and begins as one, or with the name of a container and ` | `."""
    start = line.find(b"{")
    return (
        start >= 0 and line.rstrip()[-1:] == b"}" and (not line[:start].strip() or line[:start].rstrip()[-1:] == b"|")
    )


def _time(line: bytes, before: bytes, now_ns: int) -> int:
    """Return the time of a line; a time of day, or none, is taken with the day, or time, of the line before it."""
    with contextlib.suppress(MalformedLineError):
        return stamp(line, now_ns)
    try:
        latest = stamp(before, now_ns)
    except MalformedLineError:
        return clock(line, now_ns)
    with contextlib.suppress(MalformedLineError):
        return clock(line, latest)
    return latest


def _is_syslog(line: bytes) -> bool:
    """Whether a line has the header of syslog with host and process: then it is the business of `auth`."""
    try:
        entry = record(line, _ANY_NOW)
    except (MalformedLineError, ValueError):
        return False
    return bool(entry.host and entry.pid)


def _recognise(head: bytes, name: str) -> int:
    """Score by the shares of lines that a service may have written and of those that one surely has."""
    if _EVENT_LIST.matches(head):  # all in one line, and that is longer than the head
        return 88
    lines = head_lines(head)
    possible = certain = 0
    for line in lines:
        if is_object(line):
            certain += has_keys_of_a_service(line[line.index(b"{") :])
        elif (found := _shapes().find(line)) and not _is_syslog(line):
            possible += 1
            certain += any(_shapes().rules(service).find(line) for service in found)
    if not lines or not possible + certain:
        return 0
    return int(30 * max(possible, certain) / len(lines)) + int(58 * min(1, 4 * certain / len(lines)))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, ApplicationParser())


FORMAT = Format(
    "applications", "logs of services about logins: databases, mail, voice, web applications", _recognise, _open
)
