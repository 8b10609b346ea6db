"""Everything that receives logs in one service: entries of `sensors.logs` that are addresses, not files.

    syslog+udp://HOST:PORT    syslog+tcp://HOST:PORT    syslog+tls://HOST:PORT    push:NAME    journald:[FOLDER]    -

HOST is an address literal. Sockets are bound by `open`, while the service may still have the right to; `start` begins
to receive, `stop` ends it. Each queue is a folder of its own beneath the given one.
"""

import hashlib
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sensors.errors import UnreadableInputError
from sensors.logs.feed import Feed, Place
from sensors.receive.feed import Intake, QueueFeed
from sensors.receive.journal import JournalFeed
from sensors.receive.pipe import PipeReceiver
from sensors.receive.push import PushReceiver
from sensors.receive.queue import SpillQueue
from sensors.receive.tcp import TcpReceiver, bind_tcp, server_context
from sensors.receive.udp import UdpReceiver, bind_udp
from sensors.settings import SensorSettings, SourceSettings
from sensors.values import Counters

_SYSLOG = re.compile(r"syslog\+(udp|tcp|tls)://(?:\[([0-9a-fA-F:.]+)\]|([^:/\[\]]+)):(\d{1,5})")
_PUSH = re.compile(r"push:([A-Za-z0-9_.-]{1,64})")
JOURNAL = "journald:"
PIPE = "-"

OpenFeed = Callable[[Counters], Feed]


class Receiver(Protocol):
    """Something that fills a queue."""

    def stop(self) -> None: ...


class Receivers:
    """The receivers of a service."""

    def __init__(self, settings: SensorSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._running: list[Receiver] = []
        self.pushes: dict[str, PushReceiver] = {}
        """By the name in `push:NAME`."""
        self.ports: dict[str, int] = {}
        """The port that each syslog entry listens on, also where it asked for any (0)."""

    @staticmethod
    def knows(entry: str) -> bool:
        """Whether an entry is an address rather than a file or a pattern."""
        return entry == PIPE or re.match(r"(syslog\+?\w*|push|journald):", entry) is not None

    def open(self, entry: str, options: SourceSettings, place: Place | None) -> OpenFeed:
        """Bind what an entry names; return how to read from it; raise `UnreadableInputError`."""
        if entry.startswith(JOURNAL):
            folder = entry.removeprefix(JOURNAL)
            return lambda counters: JournalFeed(folder, counters, place)
        intake = Intake(SpillQueue(self._folder / queue_name(entry), self._settings.queue_bytes))
        try:
            self._running.append(self._receiver(entry, options, intake))
        except (OSError, ssl.SSLError) as error:
            intake.queue.close()
            raise UnreadableInputError(f"{entry}: {error.strerror or error}") from error
        limit = self._settings.max_line_bytes
        return lambda counters: QueueFeed(intake, limit, counters, place)

    def _receiver(self, entry: str, options: SourceSettings, intake: Intake) -> Receiver:
        limit = self._settings.max_line_bytes
        if entry == PIPE:
            return PipeReceiver(sys.stdin.fileno(), intake, limit)
        if pushed := _PUSH.fullmatch(entry):
            self.pushes[pushed[1]] = PushReceiver(intake, self._settings.queue_bytes)
            return self.pushes[pushed[1]]
        if not (address := _SYSLOG.fullmatch(entry)) or int(address[4]) > 65535:
            raise UnreadableInputError(f"{entry}: write syslog+udp://ADDRESS:PORT, push:NAME or journald:")
        host, port = address[2] or address[3], int(address[4])
        if address[1] == "udp":
            bound = bind_udp(host, port)
            self.ports[entry] = bound.getsockname()[1]
            return UdpReceiver(bound, intake, limit)
        if address[1] == "tls" and not options.certificate:
            raise UnreadableInputError(f"{entry}: TLS needs `certificate` and `key` under [sensors.sources]")
        context = server_context(options) if address[1] == "tls" else None
        bound = bind_tcp(host, port)
        self.ports[entry] = bound.getsockname()[1]
        return TcpReceiver(bound, context, intake, limit)

    def start(self) -> None:
        """Begin to receive."""
        for receiver in self._running:
            if isinstance(receiver, UdpReceiver | TcpReceiver | PipeReceiver):
                receiver.start()

    def stop(self) -> None:
        """End receiving; what was taken stays in the queues."""
        for receiver in self._running:
            receiver.stop()


def queue_name(entry: str) -> str:
    """Return the folder of an entry's queue."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", entry)[:48] + "-" + hashlib.sha256(entry.encode()).hexdigest()[:8]
