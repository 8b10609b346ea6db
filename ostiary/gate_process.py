"""The gate beside a running engine: a process of its own, so that neither takes the other down.

Guarantees: one gate runs in a directory, whoever started it, and a lock that the kernel lets go tells so; one that the
engine started ends with it in order, is started again when it dies, and outlives an engine that is killed: the next
engine finds it and goes on with it. One that somebody else started is used and never ended.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ostiary.errors import OstiaryError

LOCK = "lock"
PAUSE_S = 1.0
"""Between the end of a gate and the start of the next."""
END_S = 10.0
"""A gate may take this long to answer what is under way and to hand its records on."""


class GateError(OstiaryError):
    """The gate cannot begin, or another one runs in its directory."""

    code = "gate.process"


def hold(directory: Path, *, beside: bool) -> int:
    """Hold a directory for this process and its children; return the handle, or raise `GateError`.

    `beside` says that an engine started the gate, and may end it.
    """
    try:
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise GateError(f"{directory / LOCK}: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise GateError(f"a gate runs already in {directory} (see {LOCK} there for its process id)") from error
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()} {'beside' if beside else 'alone'}\n".encode())
    return handle


def holder(directory: Path) -> tuple[int, bool] | None:
    """Return the process that holds a directory, and whether an engine started it; None where there is none."""
    try:
        with (directory / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                process, _, kind = file.read(64).decode().partition(" ")
                return int(process), kind.strip() == "beside"
    except (OSError, ValueError):
        pass
    return None


class GateProcess:
    """The gate of a running engine."""

    def __init__(self, directory: Path, command: list[str], say: Callable[[str], None]) -> None:
        """`command` are the arguments of `ostiary` that start it."""
        self._directory, self._command, self._say = directory, command, say
        self._handle: int | None = None
        self._beside = True

    async def run(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        """Keep a gate running until stopped, then end it; raise `GateError` where it ends before it was ever ready."""
        child = None
        try:
            while not stop.is_set():
                child = self._find_or_start()
                if self._handle is not None:
                    await self._wait(stop)
                    if stop.is_set():
                        break
                    if child is not None:
                        child.wait()  # it has ended
                    if not ready.is_set():
                        raise GateError("the gate ended before it was ready; it said why above")
                    if self._beside:
                        self._say("the gate has ended and is started again")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PAUSE_S)
            await self._end(child)
        finally:
            self._close()

    def reload(self) -> None:
        """Have it read the settings again."""
        if self._beside:
            self._send(signal.SIGHUP)

    def _find_or_start(self) -> "subprocess.Popen[bytes] | None":
        self._close()
        found = holder(self._directory)
        if found is not None:
            process, self._beside = found
            with contextlib.suppress(ProcessLookupError):  # its children are still answering what is under way
                self._handle = os.pidfd_open(process)
                self._say(f"goes on with the gate that runs already (process {process})")
            return None
        if not self._beside:  # somebody else starts it again
            return None
        child = subprocess.Popen([sys.executable, "-m", "ostiary", *self._command], start_new_session=True)
        self._handle = os.pidfd_open(child.pid)
        return child

    async def _wait(self, stop: asyncio.Event) -> None:
        """Wait until it ends, or is to be ended."""
        assert self._handle is not None
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._handle, ended.set)
        waiting = [loop.create_task(event.wait()) for event in (ended, stop)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._handle)
            for task in waiting:
                task.cancel()

    async def _end(self, child: "subprocess.Popen[bytes] | None") -> None:
        if self._handle is not None and self._beside:
            self._send(signal.SIGTERM)
            handle = self._handle
            if not (await asyncio.to_thread(select.select, [handle], [], [], END_S))[0]:
                self._send(signal.SIGKILL)
        if child is not None:
            await asyncio.to_thread(child.wait)

    def _send(self, number: int) -> None:
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
