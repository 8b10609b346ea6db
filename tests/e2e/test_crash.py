"""`ostiary up` is killed at any instant while logs grow and rotate: each line is judged once, as if nothing had been.

Each line carries evidence of its own against an address of its own, so that every line must lead to exactly one
decision, whatever the process knew when it was killed.
"""

import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compliance.audit.reader import LogReader

SETTINGS = """
state_dir = "{folder}/state"
[sensors]
logs = ["{folder}/access.log", "{folder}/pods/*.log"]
[gate]
listen = "unix:{folder}/gate.sock"
[api]
listen = "unix:{folder}/api.sock"
[response]
enforcer_socket = "{folder}/enforcer.sock"
"""
START = 1_795_000_000
SETTLE_S = 240


def line(number: int) -> bytes:
    """Return the n-th line: an injection from an address that comes once, ten lines a second of event time."""
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(START + number // 10))
    address = f"198.{18 + (number >> 16 & 1)}.{number >> 8 & 255}.{number & 255}"
    request = f"GET /item?n={number}&id=1%27%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1"
    return f'{address} - - [{stamp}] "{request}" 200 12 "-" "-"\n'.encode()


@dataclass
class Log:
    """A log that somebody writes and rotates."""

    path: Path
    root: Path
    rng: random.Random
    numbers: list[int] = field(default_factory=list)
    rotations: int = 0

    def write(self, first: int, count: int) -> None:
        with self.path.open("ab") as stream:
            for number in range(first, first + count):
                data = line(number)
                cut = self.rng.randrange(len(data))
                stream.write(data[:cut])
                stream.flush()  # half a line, for a while
                stream.write(data[cut:])
                self.numbers.append(number)

    def rotate(self) -> None:
        """Rename the file, as logrotate does with dateext, and perhaps pack it; or copy and truncate it."""
        self.rotations += 1
        old = self.path.with_name(f"{self.path.name}-{self.rotations:08}")
        kind = self.rng.choice(("rename", "pack", "copy"))
        if kind == "copy":
            shutil.copy(self.path, old)
            os.truncate(self.path, 0)
            return
        self.path.rename(old)
        self.path.touch()
        if kind == "pack":
            packed = old.with_name(old.name + ".gz")
            packed.write_bytes(gzip.compress(old.read_bytes(), 1))
            shutil.copystat(old, packed)
            old.unlink()


class Service:
    """`ostiary up`, again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "ostiary.toml").write_text(SETTINGS.format(folder=folder))
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "ostiary", "up", "--config", str(self.folder / "ostiary.toml")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def ready(self, times: int) -> None:
        def holds() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            return (self.folder / "log").read_text().count("ready:") >= times

        until(holds, "ready")

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def judges(self, count: int) -> None:
        """Wait until so many lines have been judged."""

        def holds() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            return judged(self.folder) >= count

        until(holds, f"{count} lines judged", SETTLE_S + count / 50)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(SETTLE_S) == 0, (self.folder / "log").read_text()


def until(holds: Callable[[], object], what: str, seconds: float = SETTLE_S) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.05)


def decided(folder: Path) -> list[tuple[str, int, str, float, str]]:
    """Return what was decided: source, line, reason, risk, verdict, with nothing that names anybody."""
    with closing(sqlite3.connect(f"file:{folder}/state/ostiary.db?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT source, seq, reason, document, verdict FROM decision").fetchall()
    return sorted(
        (Path(source).name, seq, reason, json.loads(document)["risk"]["risk"], verdict)
        for source, seq, reason, document, verdict in rows
    )


def judged(folder: Path) -> int:
    """Return how many lines have been judged, by the positions."""
    path = folder / "state" / "ostiary.db"
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return sum(json.loads(row[0]).get("read", 0) for row in store.execute("SELECT counters FROM position"))
    except sqlite3.OperationalError:  # it is being made
        return 0


def audited(folder: Path) -> list[str]:
    """Return the decisions in the audit log, by their ids."""
    log = LogReader.read(folder / "state" / "audit")
    return [str(entry.facts["decision"]) for entry in log.entries(0, log.size) if entry.kind == "decision"]


def undisturbed(folder: Path, logs: list[Log]) -> list[tuple[str, int, str, float, str]]:
    """Return what is decided on the lines of some logs by a service that nothing happens to."""
    folder.mkdir()
    (folder / "pods").mkdir()
    (folder / "access.log").touch()
    service = Service(folder)
    try:
        service.start()
        service.ready(1)
        for log in logs:
            (folder / log.path.relative_to(log.root)).write_bytes(b"".join(map(line, log.numbers)))
        service.judges(sum(len(log.numbers) for log in logs))
        service.stop()
    finally:
        service.end()
    return decided(folder)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_at_any_instant_it_judges_each_line_once(tmp_path: Path, soak: int) -> None:
    rng = random.Random(20261125 if soak == 1 else None)
    folder = tmp_path / "killed"
    (folder / "pods").mkdir(parents=True)
    logs = [Log(folder / name, folder, rng) for name in ("access.log", "pods/a.log", "pods/b.log")]
    logs[0].path.touch()
    logs[1].path.touch()
    service = Service(folder)
    try:
        count = disturb(service, logs, rng, 5 * soak)
    finally:
        service.end()
    found, expected = decided(folder), undisturbed(tmp_path / "quiet", logs)
    assert [item for item, times in Counter(found).items() if times > 1] == []
    assert {(name, seq) for name, seq, *_ in found} == {
        (log.path.name, seq) for log in logs for seq in range(1, len(log.numbers) + 1)
    }
    assert found == expected
    logged = audited(folder)
    assert len(logged) == len(set(logged)) == len(found)
    assert judged(folder) == count


def disturb(service: Service, logs: list[Log], rng: random.Random, rounds: int) -> int:
    """Write and rotate logs while the service is killed and started; return how many lines were written."""
    service.start()
    service.ready(1)
    number = 0
    for _ in range(rounds):
        for _ in range(rng.randrange(1, 12)):  # while it is up, or starting
            number = some(logs, rng, number)
            time.sleep(rng.uniform(0, 0.2))
        service.kill()
        for _ in range(rng.randrange(4)):  # while it is down
            number = some(logs, rng, number)
        service.start()
        if rng.random() < 0.7:
            service.judges(int(number * rng.random()))
    service.judges(number)
    service.stop()
    return number


def some(logs: list[Log], rng: random.Random, number: int) -> int:
    """Write some lines to one of the logs, or rotate it; return the number of the next line."""
    log = rng.choice(logs)
    if log.path.exists() and log.path.stat().st_size and rng.random() < 0.3:
        log.rotate()
        return number
    count = rng.randrange(1, 120)
    log.write(number, count)
    return number + count
