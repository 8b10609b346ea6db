"""Logs of sshd, sudo, su, login, PAM and other daemons that authenticate, in a syslog file or from journalctl.

Guarantees: one AUTH row for each line that tells of an attempt and names its client (or a local user). `count` is the
number of attempts that the line is the first to tell: 0 for a line that only repeats or sums up what earlier lines of
the same process said, so that the sum of `count` is the number of attempts. A request of the method `none`, by which
clients ask what is offered, counts 0 as well. `resp` is the host in the syslog header. Packets that firewalls tell of,
the logs of HAProxy, nginx and Apache (`others`) and JSON objects of services that are known by their keys are read as
well. Lines of other programs and messages without news are `ignored`; a line without a syslog header is read as the
format `applications` reads it, and is malformed where that has nothing to tell. Which messages mean what: `rules`.
Not done: knowing that two processes (a mail server and its authentication worker) tell of one attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from sensors.formats.auth.others import reader
from sensors.formats.auth.rules import FAMILIES, PAM, PROGRAMS
from sensors.logs.attempts import Attempts, Teller
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.lines import Block
from sensors.logs.objects import ObjectReader, has_keys_of_a_service
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import head_lines
from sensors.logs.rules import Rule, RuleSet
from sensors.logs.services import services
from sensors.logs.source import LineParser, LogSource
from sensors.logs.syslog import Record, record
from sensors.registry import Format, Input
from sensors.values import Source

_REPEATED = Pattern(r"^message repeated (\d{1,6}) times: \[ ?(.*?)\]?$")
_ANY_NOW = 4_000_000_000_000_000_000  # in 2096: only whether there is a time stamp matters
_LEVELS = (b"error: ", b"fatal: ", b"info: ", b"Info: ", b"warning: ")


@dataclass(frozen=True, slots=True)
class _Family:
    """The rules of one program."""

    name: str
    rules: RuleSet


@cache
def compiled(name: str) -> _Family:
    """Return a family of rules by its name."""
    rules = FAMILIES[name] if name in FAMILIES else _served()[name]
    return _Family(name, RuleSet((*rules, *PAM)))


@cache
def _served() -> dict[str, tuple[Rule, ...]]:
    """Return the rules of the services that are data."""
    return {service.name: service.rules for service in services() if service.programs}


@cache
def _programs() -> dict[str, str]:
    """Return the name of the family of each program that is named otherwise."""
    return {program: service.name for service in services() for program in service.programs} | PROGRAMS


def _family(program: bytes) -> _Family:
    """Return the family of `postfix/smtpd`, `sshd-session`, `auth-worker` ..."""
    name = program.decode("latin-1")
    stem = name.partition("/")[0].partition("-")[0].partition(".")[0]
    for candidate in (name, stem):
        family = _programs().get(candidate, candidate)
        if family in FAMILIES or family in _served():
            return compiled(family)
    return compiled("")


class AuthParser:
    """Reads one line, or a block of them, remembering what recent processes said."""

    def __init__(self, others: LineParser | None = None) -> None:
        self._others = others
        """Whoever reads lines without a header of syslog among the others."""
        self._attempts = Attempts()
        self._objects = ObjectReader()
        self._families: dict[bytes, _Family] = {}

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        try:
            entry = record(line, out.now_ns)
        except MalformedLineError:
            if self._others is not None and self._others.parse(line, seq, out):
                return True
            raise
        family = self._families.get(entry.program) or self._learn(entry.program)
        message, times = unwrapped(entry.message)
        found = family.rules.find(message)
        if found is None:
            return self._ask_others(entry, message, seq, out)
        rule, fields = found
        session = fields.get("session") or entry.pid
        service = family.name.encode() or entry.program
        self._attempts.tell(Teller(entry.ts, seq, service, session, entry.host), rule, fields, times, out)
        return True

    def parse_block(self, block: Block, out: BatchBuilder, one: Callable[[int], None]) -> tuple[int, int]:
        """Add the rows of a block; see `BlockParser`. Only what sshd writes all the time has a plain form."""
        from sensors.formats.auth.plain import read_sshd  # the kernels are heavy
        from sensors.logs.columns import Columns

        return read_sshd(Columns(block), self._attempts, out, one)

    def _ask_others(self, entry: Record, message: bytes, seq: int, out: BatchBuilder) -> bool:
        if message[:1] == b"{" and has_keys_of_a_service(message):
            return self._objects.read(message, seq, out)
        read = reader(entry)
        return read is not None and read(entry, seq, out)

    def _learn(self, program: bytes) -> _Family:
        if len(self._families) > 4096:
            self._families.clear()
        family = self._families[program] = _family(program)
        return family


def unwrapped(message: bytes) -> tuple[bytes, int]:
    """Take off rsyslog's "message repeated N times" and the level that a daemon puts in front."""
    times, message = 1, message.lstrip(b" ")
    if message.startswith(b"message repeated ") and (fields := _REPEATED.groups(message)):
        times, message = int(fields[0]), fields[1]
    for level in _LEVELS:
        if message.startswith(level):
            return message[len(level) :], times
    return message, times


def _recognise(head: bytes, name: str) -> int:
    """Score by the share of lines with a syslog header, and how many are of programs of use here."""
    lines = head_lines(head)
    entries = []
    for line in lines:
        try:
            entry = record(line, _ANY_NOW)
        except (MalformedLineError, ValueError):
            continue
        if not line[:1].isdigit() or entry.pid or _is_known(entry):  # many logs begin with an ISO time stamp
            entries.append(entry)
    if not lines or 2 * len(entries) < len(lines):
        return 0
    known = sum(map(_is_known, entries))
    score = 40 * len(entries) / len(lines) + 40 * min(1, 4 * known / len(lines))
    return int(score) + (5 if "auth" in name or "secure" in name else 0)


def _is_known(entry: Record) -> bool:
    """Whether a program of use here wrote a line; where none is named, only vsftpd's own log looks so."""
    return reader(entry) is not None or bool(
        _family(entry.program).name and (entry.program or entry.message.startswith(b"[pid "))
    )


def _open(item: Input) -> Source:
    from sensors.formats.applications import ApplicationParser  # which reads lines of syslog itself

    return LogSource(item, FORMAT.name, AuthParser(ApplicationParser()))


FORMAT = Format("auth", "sshd, sudo, su, login, PAM and mail or FTP logins in syslog or journal", _recognise, _open)
