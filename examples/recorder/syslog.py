"""A log host: what programs say to /dev/log, as lines in a file.

A program's line is `<PRI>Mon dd hh:mm:ss ident[pid]: text` (glibc's syslog(3)). Written is, as log daemons do, either
the traditional form with the host's name (RFC 3164), or the one with an ISO 8601 time that rsyslog writes today.
"""

import re
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

_SAID = re.compile(rb"<\d+>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (.*)", re.DOTALL)


class LogHost:
    """Listens on a unix socket, which is bound over a server's /dev/log, and writes a file."""

    def __init__(self, socket_path: Path, file: Path, host: str, iso: bool = False) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(socket_path))
        socket_path.chmod(0o666)  # as /dev/log is
        self._socket.settimeout(0.2)
        self._host, self._iso = host.encode(), iso
        self._file = file.open("wb", buffering=0)
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                said = self._socket.recv(8192)
            except TimeoutError:
                continue
            if matched := _SAID.match(said.rstrip(b"\0\n")):
                now = datetime.now(UTC).isoformat().encode()
                stamp = now if self._iso else matched[1]
                self._file.write(stamp + b" " + self._host + b" " + matched[2] + b"\n")

    def close(self) -> None:
        """Write what has come in and stop."""
        self._open = False
        self._thread.join()
        self._socket.close()
        self._file.close()
