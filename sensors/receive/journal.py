"""The journal of systemd, by the program `journalctl` in a process of its own.

Guarantees: entries come once and in order, from the cursor that was saved on, or from now; when the program ends it is
begun again after the last entry. An entry becomes a line as syslog files have it, with the journal's own time, in UTC
to a microsecond; one that can't be read becomes a line that no format can. A line of an ordinary user (uid from 1000
on) goes by the program that wrote it (`_COMM`, which the kernel tells), whatever it calls itself: anybody may write to
the journal as `sshd`. A slow reader makes the program wait.
"""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sensors.errors import UnreadableInputError
from sensors.logs.feed import Place
from sensors.logs.lines import Block
from sensors.receive.framing import Framer, one_line
from sensors.values import Counters, Fault

_READ_BYTES = 1 << 18
_MAX_ENTRY = 1 << 20
_ROUND_BYTES = 1 << 22
_AGAIN_S = 1.0
_FIRST_USER, _NOBODY = 1000, 65534
_UNREADABLE = b"(an entry of the journal that is no entry)"


def as_line(entry: Mapping[str, Any]) -> bytes:
    """Return an entry (JSON values, hence Any) as a line of syslog; raise ValueError for what can't be one."""
    micros = int(entry["__REALTIME_TIMESTAMP"])
    stamp = datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    pid = _text(entry.get("_PID") or entry.get("SYSLOG_PID"))
    tag = _word(_program(entry)) + (f"[{pid}]" if pid.isdigit() else "")
    message = one_line(_bytes(entry.get("MESSAGE")))
    return f"{stamp}.{micros % 1_000_000:06}+00:00 {_word(_text(entry.get('_HOSTNAME')))} {tag}: ".encode() + message


def _program(entry: Mapping[str, Any]) -> str:
    uid = _text(entry.get("_UID"))
    told, known = _text(entry.get("SYSLOG_IDENTIFIER")), _text(entry.get("_COMM"))
    ordinary = uid.isdigit() and int(uid) >= _FIRST_USER and int(uid) != _NOBODY
    return (known or "unknown") if ordinary else (told or known or "unknown")


def _text(value: object) -> str:
    if isinstance(value, list):  # a field that is there twice: the first; or bytes, as numbers
        value = value[0] if value and isinstance(value[0], str) else ""
    return value if isinstance(value, str) else ""


def _bytes(value: object) -> bytes:
    """Return a field that may be a text, or numbers where it isn't UTF-8, or missing where it is too long."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace")
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return bytes(value)
    if isinstance(value, list):
        return _bytes(value[0]) if value else b""
    return b""


def _word(text: str) -> str:
    return "".join(c for c in text.encode("ascii", "replace").decode() if "!" <= c <= "~" and c not in "[]:") or "-"


class JournalFeed:
    """The journal, or that in a folder."""

    def __init__(self, folder: str, counters: Counters, place: Place | None, program: str = "journalctl") -> None:
        """Begin after the cursor of a place, or now; raise `UnreadableInputError` where there is no journal to read."""
        self._command = [program, "--output=json", *(["--directory", folder] if folder else []), "--quiet"]
        self._counters = counters
        self._line = int(place["line"]) if place else 1
        self._cursor = str(place["cursor"]) if place else self._newest()
        self._process: subprocess.Popen[bytes] | None = None
        self._framer = Framer(_MAX_ENTRY, counted=False)
        self._ended = -_AGAIN_S

    def _newest(self) -> str:
        """Return the cursor of the newest entry; "" where there is none."""
        try:
            done = subprocess.run([*self._command, "--lines=1"], capture_output=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreadableInputError(f"journald: {self._command[0]} can't be run: {error}") from error
        if done.returncode != 0:
            text = done.stderr.decode("utf-8", "replace").strip()
            raise UnreadableInputError(f"journald: {text or 'journalctl failed'}")
        try:
            return str(json.loads(done.stdout)["__CURSOR"]) if done.stdout.strip() else ""
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableInputError("journald: journalctl doesn't speak JSON") from error

    @property
    def place(self) -> Place:
        """The cursor of the last entry that was given."""
        return {"cursor": self._cursor, "line": self._line}

    @property
    def unread(self) -> int:
        """The journal doesn't tell."""
        return 0

    def poll(self) -> Iterator[Block]:
        """Yield what has been written to the journal."""
        if self._process is None and not self._begin():
            return
        assert self._process is not None
        assert self._process.stdout is not None
        taken = 0
        while taken < _ROUND_BYTES:
            data = self._process.stdout.read(_READ_BYTES)
            if data is None:
                return
            if not data:
                self._end()
                return
            taken += len(data)
            self._counters.bytes += len(data)
            yield from self._blocks(self._framer.feed(data))

    def _blocks(self, entries: list[bytes]) -> Iterator[Block]:
        lines, first, cursor = [], self._line, self._cursor
        for text in entries:
            try:
                entry = json.loads(text)
                lines.append(as_line(entry))
                cursor = str(entry["__CURSOR"])
            except (ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError):
                lines.append(_UNREADABLE)
        if lines:
            self._cursor, self._line = cursor, first + len(lines)
            yield Block(first, 0, lines)

    def _begin(self) -> bool:
        if time.monotonic() - self._ended < _AGAIN_S:
            return False
        since = ["--after-cursor", self._cursor] if self._cursor else []
        try:
            self._process = subprocess.Popen(
                [*self._command, "--follow", "--no-tail", *since],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            )  # fmt: skip
        except OSError:
            self._ended = time.monotonic()
            return False
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_NONBLOCK)
        self._framer = Framer(_MAX_ENTRY, counted=False)
        return True

    def _end(self) -> None:
        """Take note that the program ended: it is begun again after the last entry."""
        self.close()
        self._ended = time.monotonic()
        self._counters.read += 1
        self._counters.fault(Fault("journal.ended", 0, "journalctl ended, and is started again"))

    def settle(self, place: Place) -> None:
        """Nothing need be kept: the journal is its own memory."""

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
