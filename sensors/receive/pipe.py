"""Lines from standard input: a pipe into a queue. While the queue has no room, nothing is read and the writer waits."""

import os
import select
import threading

from sensors.receive.feed import Intake
from sensors.receive.framing import Framer

_READ_BYTES = 1 << 16
_WAIT_S = 0.1


class PipeReceiver(threading.Thread):
    """Reads a pipe to its end, or until stopped."""

    def __init__(self, handle: int, intake: Intake, limit: int) -> None:
        super().__init__(name="pipe", daemon=True)
        self._handle, self._intake = handle, intake
        self._framer = Framer(limit, counted=False)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End; what is still in the pipe stays there."""
        self._stopping.set()
        self.join(timeout=5)

    def run(self) -> None:
        """Read."""
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._handle], [], [], _WAIT_S)
            if not ready:
                continue
            data = os.read(self._handle, _READ_BYTES)
            self._keep(self._framer.feed(data) if data else self._framer.finish())
            if not data:
                return

    def _keep(self, lines: list[bytes]) -> None:
        record = [b"\n".join(lines) + b"\n"] if lines else []
        while record and not self._taken(record):
            if self._stopping.wait(_WAIT_S):
                self._intake.dropped.put(len(lines))
                return

    def _taken(self, record: list[bytes]) -> bool:
        try:
            return self._intake.queue.append(record)
        except OSError:
            return False
