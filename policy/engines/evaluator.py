"""The processes behind `policy.engines.apart`: a keeper that has the bundle compiled, and the evaluator that it forks.

The evaluator asks the kernel to kill it (SIGALRM, as it is by default) should an evaluation not end in time, which
works whatever native code is running; memory is bounded by RLIMIT_AS. The keeper sees it die, answers the question in
its place, and forks the next one. Both end when the engine closes its end of the socket.
"""

import json
import os
import resource
import signal
import socket
from pathlib import Path

from policy.bundles import Bundle
from policy.engines.apart import MAX_ANSWER, Line
from policy.engines.embedded import EmbeddedEngine
from policy.errors import EvaluationError, PolicyError

MEMORY = 1 << 30
"""Bytes of address space that an evaluation may add."""


def keep(handle: int) -> None:
    """Compile the bundle that comes first, then see to it that somebody answers questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine says when it is over, by closing the socket
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with socket.socket(fileno=handle) as end:
        line = Line(end)
        number, _, raw = line.read()
        try:
            setup = json.loads(raw)
            bundle = Bundle(Path(), setup["modules"], setup["data"], {}, setup["revision"])
            engine = EmbeddedEngine(bundle)
        except PolicyError as error:
            line.write(number, b"B", str(error).encode())
            return
        line.write(number, b"R", b"")
        while ended := _evaluated_by_another(line, engine, setup["limit_s"]):
            line.write(0, b"S", f"a decision was ended: {ended}".encode())


def _evaluated_by_another(line: Line, engine: EmbeddedEngine, limit_s: float) -> str:
    """Fork an evaluator and wait for its end; return why it died, "" where its work was done."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _evaluate(line, engine, limit_s)
            status = 0
        except (OSError, EOFError):
            status = 0  # the engine has gone
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"it took longer than {limit_s:g} s" if number == signal.SIGALRM else signal.Signals(number).name
    return "" if os.WEXITSTATUS(status) == 0 else "out of memory"


def _evaluate(line: Line, engine: EmbeddedEngine, limit_s: float) -> None:
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        number, _, question = line.read()
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            kind, payload = b"A", engine.evaluate_text(question.decode()).encode()
            if len(payload) > MAX_ANSWER:
                kind, payload = b"E", b"the answer is too large"
        except EvaluationError as error:
            kind, payload = b"E", str(error).encode()
        signal.setitimer(signal.ITIMER_REAL, 0)
        line.write(number, kind, payload)
