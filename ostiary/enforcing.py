"""Where a service gets its means of action from: the enforcer process.

As root the service starts one itself, before it gives its own privileges up; otherwise one must be running at
`response.enforcer_socket`. While the mode is observe a missing enforcer is no error: nothing is done.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ostiary.enforcer import EnforcerClient
from ostiary.settings import Settings
from response.errors import ActuatorError, EnforcerDownError

START_S = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The means of action of a service."""

    actuator: EnforcerClient
    process: "subprocess.Popen[bytes] | None" = None
    """The enforcer, where we started it."""

    @classmethod
    @contextmanager
    def start(cls, settings: Settings, config: Path | None) -> Iterator[Self]:
        """Find or start the enforcer, and end one that was started; raise `ActuatorError` where enforcing needs it."""
        client = EnforcerClient(Path(settings.response.enforcer_socket))
        process = None if _answers(client) or os.geteuid() != 0 else _spawn(config)
        try:
            if process is not None or settings.response.mode == "enforce":
                _wait(client, process, needed=settings.response.mode == "enforce")
            yield cls(client, process)
        finally:
            if process is not None:
                process.terminate()
                process.wait(timeout=10)


def _answers(client: EnforcerClient) -> bool:
    try:
        client.ping()
    except ActuatorError:
        return False
    return True


def _spawn(config: Path | None) -> "subprocess.Popen[bytes]":
    arguments = ["--config", str(config)] if config else []
    command = [sys.executable, "-m", "ostiary.enforcer", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent)


def _end_with_parent() -> None:
    """Have the kernel end the enforcer when we are killed (prctl(2)); leases in the kernel run to their end anyway."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(client: EnforcerClient, process: "subprocess.Popen[bytes] | None", needed: bool) -> None:
    """Wait until the enforcer answers; raise `ActuatorError` where it doesn't and is needed."""
    end = time.monotonic() + START_S
    while not _answers(client):
        ended = process is None or process.poll() is not None
        if ended or time.monotonic() > end:
            if needed:
                raise EnforcerDownError("no enforcer answers; start `python -m ostiary.enforcer` as root")
            return
        time.sleep(0.02)
