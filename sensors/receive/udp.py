"""Syslog over UDP (RFC 5426): datagrams into a queue.

UDP can't be told to wait: what the queue has no room for, and what the kernel had none for (SO_RXQ_OVFL, which counts
exactly), is dropped and counted. One datagram is one message; what it holds is judged later, by others.
"""

import socket
import struct
import threading
import time

from sensors.receive.feed import Intake
from sensors.receive.framing import one_line

_SO_RXQ_OVFL = 40
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 16 << 20
_RECORD_BYTES = 1 << 18
_WAIT_S = 0.05
_MAX_DATAGRAM = 65_535


def bind_udp(host: str, port: int) -> socket.socket:
    """Return a bound socket with a large buffer that counts what it drops; raise OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((host, port))
        try:
            bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        bound.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        bound.settimeout(_WAIT_S)
    except BaseException:
        bound.close()
        raise
    return bound


class UdpReceiver(threading.Thread):
    """Takes datagrams from a socket until stopped."""

    def __init__(self, bound: socket.socket, intake: Intake, limit: int) -> None:
        super().__init__(name="syslog-udp", daemon=True)
        self._socket, self._intake, self._limit = bound, intake, limit
        self._stopping = threading.Event()
        self._lost = 0

    def stop(self) -> None:
        """End, and close the socket."""
        self._stopping.set()
        self.join(timeout=5)
        self._socket.close()

    def run(self) -> None:
        """Receive."""
        while not self._stopping.is_set():
            lines = self._gather()
            if lines:
                self._keep(lines)

    def _gather(self) -> list[bytes]:
        """Return the messages that come within a moment, up to the size of a record."""
        lines: list[bytes] = []
        size, end = 0, time.monotonic() + _WAIT_S
        while size < _RECORD_BYTES and (not lines or time.monotonic() < end):
            try:
                data, notes, _, _ = self._socket.recvmsg(_MAX_DATAGRAM, 64)
            except TimeoutError:
                break
            except OSError:
                self._stopping.wait(_WAIT_S)  # an error of a datagram that we never sent (ICMP); the next one is fine
                break
            if notes:
                self._count_lost(notes)
            line = one_line(data)[: self._limit + 1]
            lines.append(line)
            size += len(line) + 1
        return lines

    def _count_lost(self, notes: list[tuple[int, int, bytes]]) -> None:
        for level, kind, value in notes:
            if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                lost = struct.unpack("=I", value[:4])[0]
                new = (lost - self._lost) & 0xFFFFFFFF
                if new:
                    self._intake.dropped.put(new)
                self._lost = lost

    def _keep(self, lines: list[bytes]) -> None:
        try:
            taken = self._intake.queue.append([b"\n".join(lines) + b"\n"])
        except OSError:
            taken = False
        if not taken:
            self._intake.dropped.put(len(lines))
