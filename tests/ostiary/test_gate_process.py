"""The gate beside the engine: one in a directory, started again when it dies, ended by whoever started it alone."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from ostiary import gate_process
from ostiary.gate_process import GateError, GateProcess, hold, holder

HOLDS = r"""
import os, sys, time
from pathlib import Path
from ostiary.gate_process import hold
hold(Path(sys.argv[1]), beside=sys.argv[2] == "beside")
if sys.argv[3:]:
    os.fork()
os.write(1, b"%d\n" % os.getpid())
time.sleep(60)
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes that are killed at the end, when they still run."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_a_directory_is_held_by_one(tmp_path: Path) -> None:
    for beside in (True, False):
        handle = hold(tmp_path, beside=beside)
        assert holder(tmp_path) == (os.getpid(), beside)
        with pytest.raises(GateError, match="runs already") as caught:
            hold(tmp_path, beside=beside)
        assert caught.value.code == "gate.process"
        os.close(handle)
        assert holder(tmp_path) is None


def test_nobody_holds_what_is_not_there_or_no_lock(tmp_path: Path) -> None:
    assert holder(tmp_path / "none") is None
    with pytest.raises(GateError, match="No such file"):
        hold(tmp_path / "none", beside=True)
    for text in (b"", b"123 beside\n", b"nonsense"):
        (tmp_path / "lock").write_bytes(text)
        assert holder(tmp_path) is None
    os.close(hold(tmp_path, beside=False))


def test_the_lock_goes_with_the_last_of_whoever_holds_it(tmp_path: Path, start: Start) -> None:
    process = start("-c", HOLDS, str(tmp_path), "beside", "fork")
    pids = {line(process), line(process)}
    assert holder(tmp_path) == (process.pid, True)
    process.kill()
    process.wait()
    with pytest.raises(GateError):
        hold(tmp_path, beside=True)
    (child,) = pids - {process.pid}
    pidfd = os.pidfd_open(child)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    select.select([pidfd], [], [], 60)
    os.close(pidfd)
    assert holder(tmp_path) is None
    os.close(hold(tmp_path, beside=False))


class Engine:
    """The side of an engine that looks after its gate."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.directory = folder, folder / "gate"
        self.directory.mkdir()
        self.said: list[str] = []
        self.ready, self.stop = asyncio.Event(), asyncio.Event()
        self.command = ["gate", "--config", str(folder / "ostiary.toml")]
        self.process = GateProcess(self.directory, [*self.command, "--beside"], self.said.append)
        self.configure(f"unix:{folder}/gate.sock")

    def configure(self, listen: str, mode: str = "observe") -> None:
        (self.folder / "ostiary.toml").write_text(
            f'state_dir = "{self.folder}"\n[gate]\nlisten = "{listen}"\nmode = "{mode}"\n'
        )

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.01)

    async def answering(self) -> int:
        """Wait for a gate that answers; return its process."""

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.folder / "gate.sock"))
                probe.sendall(b"GET /health HTTP/1.1\r\n\r\n")
                return probe.recv(4) == b"HTTP"
            return False

        await self.until(lambda: holder(self.directory) and answers())
        found = holder(self.directory)
        assert found is not None
        return found[0]

    def run(self, test: "Callable[[Engine], Awaitable[None]]") -> None:
        """Look after the gate for as long as the test takes, and then end in order."""

        async def both() -> None:
            running = asyncio.create_task(self.process.run(self.ready, self.stop))
            try:
                await test(self)
            finally:
                self.stop.set()
                await running

        asyncio.run(both())


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(gate_process, "PAUSE_S", 0.05)
    return Engine(tmp_path)


def test_a_gate_is_started_again_when_it_dies_and_ended_in_order(engine: Engine) -> None:
    async def test(engine: Engine) -> None:
        first = await engine.answering()
        engine.ready.set()
        os.kill(first, signal.SIGKILL)
        await engine.until(lambda: "the gate has ended and is started again" in engine.said)
        await engine.until(lambda: (found := holder(engine.directory)) and found[0] != first)
        assert holder(engine.directory) == (await engine.answering(), True)

    engine.run(test)
    assert holder(engine.directory) is None
    assert not (engine.folder / "gate.sock").exists()  # it had the time to tidy up


def test_a_gate_that_cannot_begin_is_an_error(engine: Engine) -> None:
    engine.configure("nowhere")
    with pytest.raises(GateError, match="before it was ready"):
        asyncio.run(engine.process.run(engine.ready, engine.stop))
    assert engine.said == []


def test_one_that_an_engine_left_behind_is_taken_over_and_ended(engine: Engine, start: Start) -> None:
    left = start("-m", "ostiary", *engine.command, "--beside")

    async def test(engine: Engine) -> None:
        assert await engine.answering() == left.pid
        await engine.until(lambda: engine.said)
        assert engine.said == [f"goes on with the gate that runs already (process {left.pid})"]

    asyncio.run(engine.until(lambda: holder(engine.directory)))
    engine.run(test)
    assert left.wait(60) == 0


def test_one_that_somebody_else_started_is_used_and_not_ended(engine: Engine, start: Start) -> None:
    alone = start("-m", "ostiary", *engine.command)

    async def test(engine: Engine) -> None:
        assert await engine.answering() == alone.pid
        await engine.until(lambda: len(engine.said) == 1)
        engine.ready.set()
        engine.process.reload()  # which is not ours to say
        alone.kill()
        alone.wait()
        await engine.until(lambda: holder(engine.directory) is None)
        (engine.folder / "gate.sock").unlink()
        other = start("-m", "ostiary", *engine.command)  # somebody else starts it again, and nobody else did
        await engine.until(lambda: len(engine.said) == 2)
        assert engine.said[1].endswith(f"(process {other.pid})")
        assert await engine.answering() == other.pid

    asyncio.run(engine.until(lambda: holder(engine.directory)))
    engine.run(test)
    found = holder(engine.directory)
    assert found is not None
    os.kill(found[0], 0)
    assert found[1] is False


def test_one_whose_children_still_answer_is_waited_for(engine: Engine, start: Start) -> None:
    """As when engine and gate were killed together, and the engine is back before the gate's workers are gone."""
    killed = start("-c", HOLDS, str(engine.directory), "beside", "fork")
    (child,) = {line(killed), line(killed)} - {killed.pid}
    killed.kill()
    killed.wait()

    async def test(engine: Engine) -> None:
        await asyncio.sleep(0.3)  # it looks several times
        os.kill(child, signal.SIGKILL)
        assert await engine.answering() not in (killed.pid, child)

    engine.run(test)
    assert engine.said == []


def test_a_reload_is_passed_on(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    async def test(engine: Engine) -> None:
        await engine.answering()
        engine.configure(f"unix:{engine.folder}/gate.sock", "enforce")
        engine.process.reload()
        heard = [""]

        def told() -> bool:
            heard[0] += capfd.readouterr().err
            return "new settings are in force (enforce)" in heard[0]

        await engine.until(told)

    engine.process.reload()  # there is none yet
    engine.run(test)
