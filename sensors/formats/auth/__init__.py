"""Logs of sshd, sudo, su, login, PAM and other daemons that authenticate, in a syslog file or from journalctl.

Guarantees: one AUTH row for each line that tells of an attempt and names its client (or a local user). `count` is the
number of attempts that the line is the first to tell: 0 for a line that only repeats or sums up what earlier lines of
the same process said, so that the sum of `count` is the number of attempts. A request of the method `none`, by which
clients ask what is offered, counts 0 as well. `resp` is the host in the syslog header. Lines of other programs and
messages without news are `ignored`; a line without a syslog header is malformed. Which messages mean what: `rules`.
Not done: knowing that two processes (a mail server and its authentication worker) tell of one attempt.
"""

from dataclasses import dataclass
from functools import cache

from sensors.formats.auth.attempts import Attempts
from sensors.formats.auth.rules import FAMILIES, PAM, PROGRAMS, Rule
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.patterns import Pattern, PatternSet
from sensors.logs.recognise import head_lines
from sensors.logs.source import LogSource
from sensors.logs.syslog import Record, record
from sensors.registry import Format, Input
from sensors.values import AuthOutcome, Source

_REPEATED = Pattern(r"^message repeated (\d{1,6}) times: \[ ?(.*?)\]?$")
_ANY_NOW = 4_000_000_000_000_000_000  # in 2096: only whether there is a time stamp matters
_LEVELS = (b"error: ", b"fatal: ", b"info: ", b"Info: ", b"warning: ")


@dataclass(frozen=True, slots=True)
class _Family:
    """The rules of one program, compiled."""

    name: str
    rules: tuple[Rule, ...]
    which: PatternSet
    patterns: tuple[Pattern, ...]


@cache
def _compiled(name: str) -> _Family:
    rules = (*FAMILIES[name], *PAM)
    expressions = [rule.expression for rule in rules]
    return _Family(name, rules, PatternSet(expressions), tuple(Pattern(expression) for expression in expressions))


def _family(program: bytes) -> _Family:
    """Return the family of `postfix/smtpd`, `sshd-session`, `auth-worker` ..."""
    name = program.decode("latin-1")
    name = PROGRAMS.get(name, name)
    if name not in FAMILIES:
        name = name.partition("/")[0].partition("-")[0]
    return _compiled(name if name in FAMILIES else "")


class AuthParser:
    """Reads one line, remembering what recent processes said."""

    def __init__(self) -> None:
        self._attempts = Attempts()
        self._families: dict[bytes, _Family] = {}

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        entry = record(line, out.now_ns)
        family = self._families.get(entry.program) or self._learn(entry.program)
        message, times = _unwrapped(entry.message)
        index = family.which.first(message)
        if index < 0:
            return False
        pattern = family.patterns[index]
        fields = dict(zip(pattern.names, pattern.groups(message) or (), strict=False))
        self._tell(entry, family, family.rules[index], fields, times, seq, out)
        return True

    def _learn(self, program: bytes) -> _Family:
        if len(self._families) > 4096:
            self._families.clear()
        family = self._families[program] = _family(program)
        return family

    def _tell(
        self,
        entry: Record,
        family: _Family,
        rule: Rule,
        fields: dict[str, bytes],
        times: int,
        seq: int,
        out: BatchBuilder,
    ) -> None:
        process = b"%b[%b" % (family.name.encode(), entry.pid)
        client = fields.get("orig", b"")
        if entry.pid:
            client = self._attempts.meet(process, client, entry.ts)
        if rule.outcome is None:
            return
        outcome = AuthOutcome.INVALID_USER if fields.get("invalid") else rule.outcome
        if not client and not rule.local:
            if entry.pid:
                self._attempts.postpone(process, outcome)
            return
        method = fields.get("method", b"").lower() or rule.method.encode()
        count = _count(fields) * times
        if method == b"none":
            count = 0
        elif entry.pid:
            outcome, count = self._attempts.settle(process, outcome, rule.stage, count)
        out.auth(
            entry.ts, seq, outcome, orig=client, resp=entry.host,
            user=fields.get("user") or fields.get("ruser", b""),
            service=family.name.encode() or entry.program, method=method, count=count,
        )  # fmt: skip


def _count(fields: dict[str, bytes]) -> int:
    if more := fields.get("more"):
        return int(more) + 1
    return int(fields.get("count") or 1)


def _unwrapped(message: bytes) -> tuple[bytes, int]:
    """Take off rsyslog's "message repeated N times" and the level that a daemon puts in front."""
    times, message = 1, message.lstrip(b" ")
    if message.startswith(b"message repeated ") and (fields := _REPEATED.groups(message)):
        times, message = int(fields[0]), fields[1]
    for level in _LEVELS:
        if message.startswith(level):
            return message[len(level) :], times
    return message, times


def _recognise(head: bytes, name: str) -> int:
    """Score by the share of lines with a syslog header, and whether a program here is one that authenticates."""
    lines = head_lines(head)
    programs = []
    for line in lines:
        try:
            programs.append(record(line, _ANY_NOW).program)
        except (MalformedLineError, ValueError):
            continue
    if not lines or 2 * len(programs) < len(lines):
        return 0
    known = any(_family(program).name for program in programs)
    return int((80 if known else 40) * len(programs) / len(lines)) + (5 if "auth" in name or "secure" in name else 0)


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, AuthParser())


FORMAT = Format("auth", "sshd, sudo, su, login, PAM and mail or FTP logins in syslog or journal", _recognise, _open)
