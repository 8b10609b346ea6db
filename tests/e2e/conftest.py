"""What the end-to-end tests share: the installed command, and an attack that they write themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from ostiary.gate_process import holder

Ostiary = Callable[..., "subprocess.CompletedProcess[str]"]

ATTACKER, FRIEND = "203.0.113.66", "198.51.100.7"


@pytest.fixture
def ostiary(tmp_path: Path) -> Ostiary:
    """Return a function that runs the command in a process of its own, with a state directory of its own."""

    def run(
        *arguments: str, state: Path | None = None, environment: Mapping[str, str] | None = None, code: int | None = 0
    ) -> "subprocess.CompletedProcess[str]":
        chosen = os.environ | {"OSTIARY_STATE_DIR": str(state or tmp_path / "state")} | dict(environment or {})
        done = subprocess.run(
            [sys.executable, "-m", "ostiary", *arguments],
            capture_output=True, text=True, env=chosen, cwd=tmp_path, check=False, timeout=240,
        )  # fmt: skip
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(autouse=True)
def gates_end(tmp_path: Path) -> Iterator[None]:
    """End the gates that outlive services which a test has killed."""
    yield
    for lock in tmp_path.rglob("gate/lock"):
        end = time.monotonic() + 20
        while found := holder(lock.parent):
            assert time.monotonic() < end, "a gate that doesn't end"
            with suppress(ProcessLookupError):
                os.kill(found[0], signal.SIGTERM)
            time.sleep(0.05)


@pytest.fixture
def auth_log(tmp_path: Path) -> Path:
    """Return a log in which one address guesses passwords and another logs in with a key."""
    lines = [
        f"2026-03-02T10:00:00.000000+00:00 gate sshd[80]: Accepted publickey for ada from {FRIEND} port 50000 ssh2"
    ]
    lines += [
        f"2026-03-02T10:{second // 60:02}:{second % 60:02}.000000+00:00 gate sshd[{second}]: "
        f"Failed password for root from {ATTACKER} port {40000 + second} ssh2"
        for second in range(5, 125, 2)
    ]
    file = tmp_path / "auth.log"
    file.write_text("\n".join(lines) + "\n")
    return file
