"""A log that is killed or runs out of disk at any instant opens again, verifies, and has all that it acknowledged."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compliance.audit import AuditLog, verify
from compliance.errors import AuditWriteError
from compliance.values import AuditEntry

ORIGIN = "example.test/audit"
Make = Callable[[int], AuditEntry]

CHILD = """
import sys
from pathlib import Path
from compliance.audit import AuditLog
from compliance.values import AuditEntry

with AuditLog.open(Path(sys.argv[1]), "example.test/audit") as log:
    while True:
        group = [AuditEntry("decision", "engine", "deny", "x", log.size + i) for i in range(1 + log.size % 90)]
        print(log.append(group).stop, flush=True)
"""


def kill_while_it_writes(directory: Path, delay: float) -> int:
    """Let a process append, kill it, and return how many entries it acknowledged."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(directory)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    child.stdout.readline()
    time.sleep(delay)
    child.send_signal(signal.SIGKILL)
    acknowledged = child.stdout.read().splitlines()
    child.stdout.close()
    child.wait()
    return int(acknowledged[-1]) if acknowledged else 0


@pytest.mark.slow
def test_killed_at_any_instant(directory: Path, soak: int) -> None:
    chance = random.Random(7)
    kept: str | None = None
    for _ in range(25 * soak):
        acknowledged = kill_while_it_writes(directory, chance.uniform(0, 0.05))
        assert verify(directory, since=kept).ok  # even before anybody opened it again
        with AuditLog.open(directory, ORIGIN) as log:
            assert log.size >= acknowledged
            assert [entry.ts for entry in log.entries(0, log.size)] == list(range(log.size))
            kept = log.checkpoint()
        assert verify(directory, since=kept).ok


class Death(BaseException):
    """Ends a process in the middle of a call, as far as its files can tell."""


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Make the n-th change to the disk (flush, rename, new directory) raise instead of happening."""
    calls = {"left": -1}

    def armed(step: int, error: BaseException) -> None:
        calls["left"] = step
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir")):
            original = getattr(owner, name)

            def stumble(*arguments: object, _original: Callable[..., object] = original, **named: object) -> object:
                calls["left"] -= 1
                if calls["left"] == -1:
                    raise error
                return _original(*arguments, **named)

            monkeypatch.setattr(owner, name, stumble)

    return armed


STEPS = range(40)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [0, 250, 256])
def test_dead_at_every_step(
    directory: Path, entry: Make, fail_at: Callable[[int, BaseException], None], step: int, before: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with AuditLog.open(directory, ORIGIN) as log:
        log.append([entry(i) for i in range(before)])
    fail_at(step, Death())
    added = 0
    try:
        with AuditLog.open(directory, ORIGIN) as log:
            added = len(log.append([entry(before + i) for i in range(270)]))
    except Death:
        pass
    monkeypatch.undo()
    if (directory / "checkpoint").exists():
        assert verify(directory).ok
    with AuditLog.open(directory, ORIGIN) as log:
        assert log.size in (before + added, before + 270)
        assert log.torn in (0, *range(1, 271))
        log.append([entry(log.size + i) for i in range(3)])
        assert [e.ts for e in log.entries(0, log.size)] == [entry(i).ts for i in range(log.size)]
    assert verify(directory).ok
    assert not list(directory.rglob("*.new"))


@pytest.mark.parametrize("step", [0, 1, 4, 7, 9, 12])
def test_a_full_disk_acknowledges_nothing(
    directory: Path, entry: Make, fail_at: Callable[[int, BaseException], None], step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    log = AuditLog.open(directory, ORIGIN)
    log.append([entry(0)])
    fail_at(step, OSError(28, "No space left on device"))
    try:
        indices = log.append([entry(1)])
    except AuditWriteError:
        indices = range(0)
        with pytest.raises(AuditWriteError):
            log.append([entry(2)])
    monkeypatch.undo()
    log.close()
    assert verify(directory).ok
    with AuditLog.open(directory, ORIGIN) as log:
        assert log.size in (2, 1 + len(indices))


def test_what_was_cut_is_counted(directory: Path, entry: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog.open(directory, ORIGIN)
    log.append([entry(i) for i in range(10)])

    def die(*_: object) -> None:
        raise Death

    monkeypatch.setattr("compliance.audit.log.sync_directory", die)
    with pytest.raises(Death):
        log.append([entry(i) for i in range(300)])
    monkeypatch.undo()
    log.close()
    with AuditLog.open(directory, ORIGIN) as log:
        assert (log.size, log.torn) == (10, 300)
        assert not (directory / "tile/entries/000").exists()
        assert not (directory / "tile/entries/001.p/54").exists()
    with AuditLog.open(directory, ORIGIN) as log:
        assert log.torn == 0
