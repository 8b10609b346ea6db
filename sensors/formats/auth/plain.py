"""What sshd writes all the time, a whole block at a time.

A template is a message with `*` for each word that varies, `@` for the client's address and `#` for a number. What a
template means isn't written here but asked of the rules, once, with made-up words in it: which rule fits, which of its
groups hold which word, and which hold the same words always. Guarantees: a line is taken only where its header and its
message have the plain form and a template fits to its end, words having no blanks; a test holds templates and rules
together. Everything else is left to the parser of single lines, in the order of the lines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sensors.formats.auth import compiled, unwrapped
from sensors.logs import kernels
from sensors.logs.attempts import Attempts
from sensors.logs.builder import BatchBuilder
from sensors.logs.columns import Columns, Span
from sensors.logs.rules import INVALID, RuleSet
from sensors.logs.time import rfc3164
from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.values import AuthOutcome, Kind

PROGRAMS = (b"sshd", b"sshd-session", b"sshd-auth")
TEMPLATES = (
    "Failed password for * from @ port # ssh2",
    "Failed password for invalid user * from @ port # ssh2",
    "Invalid user * from @ port #",
    "Invalid user * from @",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=@",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=@ ",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=@  user=*",
    "pam_unix(sshd:auth): check pass; user unknown",
    "Connection closed by @ port # [preauth]",
    "Connection reset by @ port # [preauth]",
    "Connection closed by authenticating user * @ port # [preauth]",
    "Connection reset by authenticating user * @ port # [preauth]",
    "Connection closed by invalid user * @ port # [preauth]",
    "Connection reset by invalid user * @ port # [preauth]",
    "Disconnected from authenticating user * @ port # [preauth]",
    "Disconnected from invalid user * @ port # [preauth]",
    "Disconnected from @ port # [preauth]",
    "Disconnected from user * @ port #",
    "Received disconnect from @ port #:11: Bye Bye [preauth]",
    "Received disconnect from @ port #:11: [preauth]",
    "Received disconnect from @ port #:11: disconnected by user",
    "Did not receive identification string from @ port #",
    "Connection from @ port # on @ port #",
    "Connection from @ port # on @ port # rdomain \"\"",
    "Accepted password for * from @ port # ssh2",
    "Accepted publickey for * from @ port # ssh2: * *",
    "Accepted keyboard-interactive/pam for * from @ port # ssh2",
    "pam_unix(sshd:session): session opened for user * by (uid=0)",
    "pam_unix(sshd:session): session opened for user * by *",
    "error: maximum authentication attempts exceeded for * from @ port # ssh2 [preauth]",
    "error: maximum authentication attempts exceeded for invalid user * from @ port # ssh2 [preauth]",
    "Connection closed by @",
    "pam_unix(sshd:session): session closed for user *",
    "Starting session: shell on * for * from @ port # id #",
    "Server listening on @ port #.",
)  # fmt: skip

_LITERAL, _WORD, _CLIENT, _NUMBER = 0, 1, 2, 3
_KINDS = {"*": _WORD, "@": _CLIENT, "#": _NUMBER}
_SLOTS = 6
"""More than any template has words that vary."""
_ALLOWED = np.zeros((4, 256), np.bool_)
_ALLOWED[_WORD, 33:127] = True
_ALLOWED[_CLIENT] = [chr(byte) in "0123456789abcdefABCDEF.:" for byte in range(256)]
_ALLOWED[_NUMBER, 48:58] = True
_NAME = np.array([97 <= byte <= 122 or byte == 45 for byte in range(256)])
_STAMP, _HOST, _PROGRAM, _SESSION = range(4)
_SYSLOG_STAMP = 15
_ROLES = ("orig", "user")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a template says; without an outcome it names the client, and without a client nothing."""

    known: bool
    outcome: AuthOutcome | None
    stage: int
    method: bytes
    orig: int
    """Which of its words is the client; one that no template has where there is none."""
    user: int


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates, as arrays for the kernel: one row a piece, and the first piece of each template."""

    pieces: Numbers
    """Kind, and for a literal where it begins and ends in `text`."""
    firsts: Numbers
    text: Bytes
    meanings: tuple[Meaning, ...]


@cache
def templates() -> Templates:
    """Return the templates, compiled."""
    pieces: list[tuple[int, int, int]] = []
    firsts, text = [0], bytearray()
    for template in TEMPLATES:
        for piece in cut(template):
            if piece in _KINDS:
                pieces.append((_KINDS[piece], 0, 0))
            else:
                pieces.append((_LITERAL, len(text), len(text) + len(piece)))
                text += piece.encode()
        firsts.append(len(pieces))
    rules = compiled("sshd").rules
    meanings = tuple(_meaning(template, rules) for template in TEMPLATES)
    return Templates(np.array(pieces), np.array(firsts), np.frombuffer(bytes(text), np.uint8), meanings)


def cut(template: str) -> list[str]:
    """Return the pieces of a template: literals, and the characters that stand for words."""
    pieces = [""]
    for character in template:
        if character in _KINDS:
            pieces += [character, ""]
        else:
            pieces[-1] += character
    return [piece for piece in pieces if piece]


def filled(template: str, words: list[str]) -> str:
    """Return a template with words in it."""
    rest = iter(words)
    return "".join(next(rest) if piece in _KINDS else piece for piece in cut(template))


def _meaning(template: str, rules: RuleSet) -> Meaning:
    kinds = [_KINDS[piece] for piece in cut(template) if piece in _KINDS]
    samples = {_WORD: "w{}x", _CLIENT: "192.0.2.{}", _NUMBER: "2{}"}
    words = [samples[kind].format(index) for index, kind in enumerate(kinds)]
    found = rules.find(unwrapped(filled(template, words).encode())[0])
    if found is None:
        return Meaning(False, None, 0, b"", _SLOTS, _SLOTS)
    rule, groups = found
    if {"count", "more", "session"} & {name for name, value in groups.items() if value} or (
        rule.local and not groups["orig"]
    ):
        raise ValueError(f"{template}: what its rule says needs more than a template")
    outcome = INVALID if groups.get("invalid") else rule.outcome
    method = groups.get("method", b"").lower() or rule.method.encode()
    user = groups.get("user") or groups.get("ruser") or b""
    place = {word.encode(): index for index, word in enumerate(words)}
    return Meaning(
        True, outcome, rule.stage, method, place[groups["orig"]], place[user] if user else _SLOTS,
    )  # fmt: skip


@kernel
def _fits(
    data: Bytes, at: int, end: int, pieces: Numbers, first: int, last: int, text: Bytes, words: Numbers, row: int
) -> bool:
    slot = 0
    for piece in range(first, last):
        kind = pieces[piece, 0]
        if kind == 0:
            size = pieces[piece, 2] - pieces[piece, 1]
            if end - at < size:
                return False
            for index in range(size):
                if data[at + index] != text[pieces[piece, 1] + index]:
                    return False
            at += size
            continue
        words[0, slot, row] = at
        # A word ends where the next literal could begin: at a blank, or at what follows a number or an address.
        while at < end and _ALLOWED[kind, data[at]]:
            at += 1
        if at == words[0, slot, row]:
            return False
        words[1, slot, row] = at
        slot += 1
    return bool(at == end)


@kernel
def _header(data: Bytes, at: int, end: int, row: int, header: Numbers) -> int:
    """Find time, host, program and process id; return where the message begins, or -1."""
    first = at
    if end - at > 20 and 48 <= data[at] <= 57:
        while at < end and at < first + 40 and data[at] != 32:
            at += 1
        if at >= end or data[at] != 32 or at - first < 20:
            return -1
    elif end - at > 20 and data[at + 9] == 58 and data[at + 12] == 58 and data[at + 15] == 32:
        at += 15
    else:
        return -1
    header[0, _STAMP, row], header[1, _STAMP, row] = first, at
    at += 1
    first = at
    while at < end and 32 < data[at] < 127:
        at += 1
    if at == first or at >= end or data[at] != 32 or data[at - 1] == 58 or data[first] == 91:
        return -1
    header[0, _HOST, row], header[1, _HOST, row] = first, at
    at += 1
    first = at
    while at < end and at < first + 64 and _NAME[data[at]]:
        at += 1
    if at == first or at >= end or data[at] != 91:
        return -1
    header[0, _PROGRAM, row], header[1, _PROGRAM, row] = first, at
    at += 1
    first = at
    while at < end and at < first + 20 and 48 <= data[at] <= 57:
        at += 1
    header[0, _SESSION, row], header[1, _SESSION, row] = first, at
    if at == first or at + 3 > end or data[at] != 93 or data[at + 1] != 58 or data[at + 2] != 32:
        return -1
    return at + 3


@kernel
def _match(
    data: Bytes, starts: Numbers, ends: Numbers, pieces: Numbers, firsts: Numbers, text: Bytes,
    header: Numbers, words: Numbers, which: Numbers,
) -> None:  # fmt: skip
    for row in range(starts.size):
        at = _header(data, starts[row], ends[row], row, header)
        if at < 0:
            continue
        for template in range(firsts.size - 1):
            if _fits(data, at, ends[row], pieces, firsts[template], firsts[template + 1], text, words, row):
                which[row] = template
                break


def read_sshd(lines: Columns, attempts: Attempts, out: BatchBuilder, one: Callable[[int], None]) -> tuple[int, int]:
    """Add the rows of a block, the plain lines among the others; see `sensors.logs.source.BlockParser`."""
    known, size = templates(), len(lines.plain)
    header, words = np.full((2, 4, size), -1, np.int64), np.full((2, _SLOTS + 1, size), -1, np.int64)
    which = np.full(size, -1, np.int64)
    _match(lines.data, lines.starts, lines.ends, known.pieces, known.firsts, known.text, header, words, which)
    lines.plain &= (which >= 0) & (lines.each(_span(header, _PROGRAM), PROGRAMS.__contains__) != 0)
    times = _times(lines, _span(header, _STAMP), out.now_ns)
    orig, user = (_chosen(words, which, np.array([getattr(each, name) for each in known.meanings])) for name in _ROLES)
    told = _Told(size)
    counted = _settle(lines, known.meanings, which, (times, orig, _span(header, _SESSION)), attempts, told, one)
    lines.plain &= told.outcome != 0
    method = np.array([out.text(each.method) for each in known.meanings])[which]
    lines.add(
        out, Kind.AUTH, ts=times, orig=lines.hosts(out, orig), resp=lines.hosts(out, _span(header, _HOST)),
        user=lines.coded(out, user), service=np.full(size, out.text(b"sshd")), method=method, outcome=told.outcome,
        count=told.count,
    )  # fmt: skip
    return counted


class _Told:
    """What lines say of attempts; no outcome: nothing."""

    def __init__(self, size: int) -> None:
        self.outcome, self.count = np.zeros(size, np.int64), np.zeros(size, np.int64)


def _settle(
    lines: Columns, meanings: tuple[Meaning, ...], which: Numbers, columns: tuple[Numbers, Span, Span],
    attempts: Attempts, told: _Told, one: Callable[[int], None],
) -> tuple[int, int]:  # fmt: skip
    """Go through the lines in their order, the plain ones here; return how many of these the rules know, and not."""
    raw, parsed, ignored = lines.raw, 0, 0
    times, orig, session = columns
    rows = zip(
        np.where(lines.plain, which, -1).tolist(), times.tolist(), orig[0].tolist(), orig[1].tolist(),
        session[0].tolist(), session[1].tolist(), strict=True,
    )  # fmt: skip
    for index, (template, ts, start, end, first, last) in enumerate(rows):
        if template < 0:
            one(index)
            continue
        meaning = meanings[template]
        if not meaning.known:
            ignored += 1
            continue
        parsed += 1
        process = b"sshd[" + raw[first:last]
        attempts.meet(process, raw[start:end], ts)
        if meaning.outcome is not None:
            told.outcome[index], told.count[index] = attempts.settle(process, meaning.outcome, meaning.stage, 1)
    return parsed, ignored


def _times(lines: Columns, stamp: Span, now_ns: int) -> Numbers:
    def named(text: bytes) -> int:
        if len(text) not in (0, _SYSLOG_STAMP):
            raise ValueError
        return rfc3164(text, now_ns) if text else 0

    exact, good = kernels.instants(lines.data, *stamp)
    return exact + lines.each((np.where(good, -1, stamp[0]), stamp[1]), named)


def _chosen(words: NDArray[np.int64], which: Numbers, place: Numbers) -> Span:
    """Return the word of each line that its template puts at `place`."""
    slots, rows = place[which], np.arange(len(which))
    return words[0, slots, rows], words[1, slots, rows]


def _span(places: NDArray[np.int64], column: int) -> Span:
    return places[0, column], places[1, column]
