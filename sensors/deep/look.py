"""Have a capture looked at by a process that is locked up; believe what it says in form only.

Guarantees: it ends after `LIMIT_S` at the latest, with all that it started; what it says is cut to `MAX_FACTS`
printable texts of `MAX_TEXT` characters; a process that hangs, crashes or talks nonsense is a `Look` with a problem,
never an error.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Final

LIMIT_S: Final = 30.0
MAX_PACKETS: Final = 400
"""As many as pyshark reads in a few seconds."""
MAX_FACTS: Final = 16
MAX_TEXT: Final = 300
MAX_SAID: Final = 1 << 16
COMMAND: Final = (sys.executable, "-s", "-P", "-W", "ignore", "-m", "sensors.deep.inside")


@dataclass(frozen=True, slots=True)
class Look:
    """What was found; `problem` is "" where it could be looked at."""

    facts: tuple[str, ...] = ()
    problem: str = ""


def missing() -> str:
    """Return what must be installed before anything can be looked at; "" for nothing."""
    if find_spec("pyshark") is None:
        return "pyshark is not installed: pip install 'ostiary[deep]'"
    return "" if which("tshark") else "tshark is not installed"


def look(capture: bytes, command: Sequence[str] = COMMAND, limit_s: float = LIMIT_S) -> Look:
    """Have a capture (pcap) looked at."""
    here = str(Path(__file__).parents[2])
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": here,
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
    }
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Look(problem=f"it could not be started: {error.strerror}")
    try:
        said, _ = process.communicate(capture, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return Look(problem=f"it took longer than {limit_s:g} s")
    finally:
        _end(process)
    if process.returncode:
        return Look(problem=f"it ended with {process.returncode}")
    return _believed(said)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            stream.close()
    process.wait()


def _believed(said: bytes) -> Look:
    try:
        facts = json.loads(said[:MAX_SAID])
    except (ValueError, RecursionError):
        return Look(problem="what it said makes no sense")
    if not isinstance(facts, list) or not all(isinstance(fact, str) for fact in facts):
        return Look(problem="what it said makes no sense")
    return Look(tuple(_printable(fact[:MAX_TEXT]) for fact in facts[:MAX_FACTS]))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
