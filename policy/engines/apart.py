"""The embedded engine in a process of its own, so that no decision takes longer than it may.

    ApartEngine ──question──> evaluator (evaluates; the kernel's timer kills it) <──forks── keeper (has it compiled)

Guarantees: `evaluate` returns or raises within `limit_s`, and a little more; a bundle that loops, takes all memory or
brings the native code down costs that one question (`SlowError`), and the next one finds an evaluator that the keeper
has just forked, with the bundle compiled already. The same answers as the embedded engine, which is what runs there.
Costs two changes of process a question. Does not keep state from one question to the next.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from policy.bundles import Bundle
from policy.engines.embedded import read_decision, write_question
from policy.errors import BundleError, EngineUnavailableError, EvaluationError, SlowError

LIMIT_S = 0.5
READY_S = 30.0
SPARE_S = 1.0
"""How much longer than the limit is waited for the keeper to say that the evaluator was ended."""
MAX_ANSWER = 1 << 22

_HEAD = struct.Struct(">IIc")
_ERRORS = {b"E": EvaluationError, b"S": SlowError, b"B": BundleError}


class ApartEngine:
    """A `PolicyEngine` in another process. One object belongs to one thread."""

    name = "embedded"

    def __init__(self, bundle: Bundle, limit_s: float = LIMIT_S) -> None:
        """Start the process and compile the bundle there; raise `BundleError` or `EngineUnavailableError`."""
        self.revision = bundle.revision
        self._limit_s = limit_s
        self._setup = json.dumps(
            {"modules": dict(bundle.modules), "data": bundle.data, "revision": bundle.revision, "limit_s": limit_s}
        ).encode()
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._start()

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision`; raise `PolicyError`, `SlowError` where it took too long."""
        question = write_question(document).encode()
        if self._process is None:
            self._start()
        try:
            kind, payload = self._asked(question)
        except (OSError, EOFError) as error:
            self.close()  # an answer that comes late must not be taken for the next one's
            raise SlowError(f"no decision within {self._limit_s:g} s") from error
        if kind != b"A":
            raise _ERRORS[kind](payload.decode())
        return read_decision(payload.decode())

    def _asked(self, question: bytes) -> tuple[bytes, bytes]:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._line.write(self._number, b"Q", question)
        while True:
            number, kind, payload = self._line.read()
            if kind == b"S" or number == self._number:  # else it answers a question that was given up
                return kind, payload

    def close(self) -> None:
        """End the process; a question that comes afterwards starts another."""
        self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(READY_S)
        self._line, self._number = Line(self._socket), 0
        with theirs:
            self._process = _keeper(theirs)
        try:
            kind, payload = self._asked(self._setup)
        except (OSError, EOFError) as error:
            self.close()
            raise EngineUnavailableError("the process that evaluates did not start") from error
        if kind != b"R":
            self.close()
            raise _ERRORS[kind](payload.decode())
        self._socket.settimeout(self._limit_s + SPARE_S)


def _keeper(theirs: socket.socket) -> "subprocess.Popen[bytes]":
    code = f"from policy.engines.evaluator import keep; keep({theirs.fileno()})"
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        return subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise EngineUnavailableError(f"the process that evaluates cannot be started: {error}") from error


class Line:
    """Frames over a socket: size of the payload, number of the question, kind, payload."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._rest = end, b""

    def read(self) -> tuple[int, bytes, bytes]:
        """Read (number, kind, payload); raise EOFError at the end and OSError, which a timeout is."""
        found, self._rest = self._rest, b""
        while len(found) < _HEAD.size or len(found) < _HEAD.size + _HEAD.unpack_from(found)[0]:
            part = self._end.recv(1 << 16)
            if not part:
                raise EOFError
            found += part
        size, number, kind = _HEAD.unpack_from(found)
        self._rest = found[_HEAD.size + size :]
        return number, kind, found[_HEAD.size : _HEAD.size + size]

    def write(self, number: int, kind: bytes, payload: bytes) -> None:
        """Write a frame whole; raise OSError."""
        self._end.sendall(_HEAD.pack(len(payload), number, kind) + payload)
