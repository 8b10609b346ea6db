"""Receive exported flows over UDP.

Guarantees: only exporters inside the networks of `sensors.netflow_exporters` are read, others are `ignored`; datagrams
are read in bursts of at most `BURST`; a batch comes at least every `PAUSE_S`, and `stop` is asked as often; rows that
tell of more than `SLACK_NS` ago are late and placed there. UDP proves nobody's address: whoever can send datagrams in
an exporter's name can invent flows, so keep the port closed to everybody else.
"""

import ipaddress
import select
import socket
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

import numpy as np

from sensors.errors import UnreadableInputError
from sensors.netflow.messages import Decoder
from sensors.netflow.pairs import Pairs
from sensors.settings import SensorSettings
from sensors.values import FLOW, Batch, Counters, Kind, Rows, never

BURST: Final = 4096
PAUSE_S: Final = 0.1
SLACK_NS: Final = 300_000_000_000
ROOM: Final = 8 << 20
"""Bytes that may wait in the kernel; what finds no room shows as missing numbers."""


class NetflowSource:
    """A UDP port that exporters send to, from the moment it is made until it is stopped."""

    format = "netflow"
    size = 0

    def __init__(self, settings: SensorSettings, now: Callable[[], int] = time.time_ns) -> None:
        """Listen where `settings.netflow` says; raise `UnreadableInputError` where that cannot be."""
        self.name = settings.netflow
        self.counters = Counters()
        self._now = now
        self._allowed = _networks(settings.netflow_exporters)
        self._is_allowed = lru_cache(4096)(self._looked_up)
        self._socket = _bound(settings.netflow)
        self._decoder = Decoder(self.counters)
        self._pairs = Pairs()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield batches until stopped; then a last one with what still waited for its other direction."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        try:
            while not stop():
                poll.poll(PAUSE_S * 1000)
                self._receive()
                now = self._now()
                records = self._decoder.take()
                rows = np.concatenate((self._pairs.add(records, now), self._pairs.expire(now)))
                yield self._batch(rows, now)
            yield self._batch(self._pairs.finish(), self._now())
        finally:
            self._socket.close()

    def _receive(self) -> None:
        for _ in range(BURST):
            try:
                datagram, sender = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            if self._is_allowed(sender[0]):
                self._decoder.feed(sender[0], datagram, self._now())
            else:
                self.counters.read += 1
                self.counters.ignored += 1

    def _looked_up(self, address: str) -> bool:
        found = ipaddress.ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._allowed)

    def _batch(self, rows: Rows, now: int) -> Batch:
        if not len(rows):
            return Batch((self.name,), now, {})
        oldest = now - SLACK_NS
        self.counters.late += int(np.count_nonzero(rows["ts"] < oldest))
        self.counters.rows += len(rows)
        rows["ts"] = np.clip(rows["ts"], oldest, now)
        return Batch((self.name,), now, {Kind.FLOW: rows[np.lexsort((rows["seq"], rows["ts"]))].astype(FLOW)})


def _networks(texts: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError as error:
        raise UnreadableInputError(f"sensors.netflow_exporters: {error}") from error


def _bound(listen: str) -> socket.socket:
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        number = int(port)
        if not colon or not 0 <= number < 1 << 16:
            raise ValueError(listen)
    except ValueError as error:
        raise UnreadableInputError(f"sensors.netflow: {listen!r} is not address:port") from error
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        bound.bind((host, number))
    except OSError as error:
        bound.close()
        raise UnreadableInputError(f"sensors.netflow: {listen}: {error.strerror or error}") from error
    bound.setblocking(False)
    return bound
