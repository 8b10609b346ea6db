"""Capture from one interface with several processes; each is a source of its own here.

The sockets are opened where the privileges are; a process begins with the first batch that is asked of it, so that it
has what privileges are left then. Guarantees: each flow goes to one process; what a process says is checked; `stop` is
asked every `PAUSE_S`; a process ends when its source does, or when this process is gone, whatever the reason.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Final, TypeAlias

from sensors.errors import CaptureProcessError
from sensors.packets.exchange import COUNTED, Message, receive
from sensors.packets.interface import PacketSocket, open_interface
from sensors.packets.live import LiveSource
from sensors.settings import SensorSettings
from sensors.values import Batch, Counters, never

PAUSE_S: Final = 0.1
ENDING_S: Final = 20.0
"""How long a process may take to hand over its last batch."""

Saved = Callable[[str], bytes | None]
"""What an earlier capture of a source's name left behind: see `LiveSource`."""


def open_live(interface: str, settings: SensorSettings, saved: Saved = lambda _: None) -> "list[LiveCapture]":
    """Open an interface for as many processes as the settings say; raise `SensorError`."""
    count = settings.capture_processes
    sockets = open_interface(interface, settings.capture_filter, count)
    if count == 1:
        return [LiveSource(interface, settings, opened=sockets[0], saved=saved(interface))]
    share = replace(settings, max_flows=max(16, settings.max_flows // count))
    names = [f"{interface}#{number}" for number in range(1, count + 1)]
    return [WorkerSource(name, opened, share, saved(name)) for name, opened in zip(names, sockets, strict=True)]


class WorkerSource:
    """What one process captures."""

    format = "live"
    size = 0

    def __init__(self, name: str, opened: PacketSocket, settings: SensorSettings, saved: bytes | None) -> None:
        self.name = name
        self.counters = Counters()
        self.saved = saved
        self._opened = opened
        self._settings = settings
        self._stopping = False

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield the process's batches until stopped, then its last one; raise `CaptureProcessError` where it fails."""
        with self._start() as process:
            try:
                while (message := receive(lambda size: self._read(process, size, stop), self.name)) is not None:
                    self._take(message)
                    yield message.batch
            finally:
                self._end(process)
        if process.returncode != 0:
            raise CaptureProcessError(f"{self.name}: the process that captures ended with {process.returncode}")

    def close(self) -> None:
        """Give up the socket of a source that was never asked for a batch."""
        self._opened.socket.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start the process and tell it what to do."""
        number = self._opened.socket.fileno()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sensors.packets.capture_process", str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[number],
        )  # fmt: skip
        self._opened.socket.close()
        plain = {name: value for name, value in asdict(self._settings).items() if isinstance(value, int | float | str)}
        order = {
            "name": self.name, "link": self._opened.link, "loopback": self._opened.loopback,
            "program": self._opened.program.hex(), "settings": plain,
            "saved": None if self.saved is None else len(self.saved),
        }  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n" + (self.saved or b""))
        process.stdin.flush()
        return process

    def _take(self, message: Message) -> None:
        for name in COUNTED:
            setattr(self.counters, name, getattr(message.counters, name))
        self.counters.faults[:] = message.counters.faults
        if message.saved:
            self.saved = message.saved

    def _read(self, process: "subprocess.Popen[bytes]", size: int, stop: Callable[[], bool]) -> bytes | None:
        """Return so many bytes from the process, None if it has ended; once `stop()` holds it is told to end."""
        assert process.stdin is not None
        assert process.stdout is not None
        source, parts, end = process.stdout.fileno(), [], 0.0
        while size:
            if not self._stopping and stop():
                self._stopping, end = True, time.monotonic() + ENDING_S
                process.stdin.close()
            if select.select([source], [], [], PAUSE_S)[0]:
                part = os.read(source, min(size, 1 << 20))
                if not part:
                    return None
                parts.append(part)
                size -= len(part)
            elif end and time.monotonic() > end:
                raise CaptureProcessError(f"{self.name}: the process that captures doesn't end")
        return b"".join(parts)

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(PAUSE_S if process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


LiveCapture: TypeAlias = LiveSource | WorkerSource
