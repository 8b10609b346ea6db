"""Put TLS handshakes together from their segments and tell one row a connection.

Guarantees: a row is told with the segment that completes what a server says in plain (its certificate, or its hello
from TLS 1.3 on), or when `PATIENCE_S` whole seconds have passed since its hello, or at the end, with what is there.
At most `MOST_BYTES` of each side and `MAX_CONNECTIONS` connections are kept. What was sent again changes nothing.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sensors.addresses import address_text
from sensors.packets import certificates, fingerprints, tls
from sensors.packets.rows import Latest, Told
from sensors.packets.streams import MOST_BYTES
from sensors.values import Kind

PATIENCE_S: Final = 2
MAX_CONNECTIONS: Final = 8192
MAX_APART: Final = 16
_SECOND: Final = 1_000_000_000

Key: TypeAlias = tuple[int, int, int, int, int, int]
"""A connection: client's and server's halves, their ports."""


@dataclass(slots=True)
class Stream:
    """The beginning of one side's bytes, in the order of their numbers."""

    first: int
    """Sequence number of the first byte."""
    data: bytearray = field(default_factory=bytearray)
    apart: dict[int, bytes] = field(default_factory=dict)
    """What came before what lies in front of it, by its place."""

    def add(self, number: int, piece: bytes) -> None:
        """Take in a segment."""
        place = (number - self.first) & 0xFFFFFFFF
        if place > MOST_BYTES:
            return
        if place > len(self.data):
            if len(self.apart) < MAX_APART:
                self.apart.setdefault(place, piece)
            return
        self._join(place, piece)
        for waiting in sorted(self.apart):
            if waiting > len(self.data):
                break
            self._join(waiting, self.apart.pop(waiting))

    def _join(self, place: int, piece: bytes) -> None:
        self.data += piece[len(self.data) - place :]
        del self.data[MOST_BYTES:]


@dataclass(slots=True)
class _Answer:
    """A server's part that isn't told yet."""

    due: int
    number: int
    key: Key
    stream: Stream
    told: bool = False


class Handshakes:
    """The handshakes of one source."""

    def __init__(self) -> None:
        self._clients: Latest[Key, Stream] = Latest(MAX_CONNECTIONS)
        self._servers: Latest[Key, _Answer] = Latest(MAX_CONNECTIONS)
        self._order: deque[_Answer] = deque()

    def begin(self, told: Told, payload: bytes, seq: int, at: int, number: int, key: Key) -> None:
        """Take in a segment that begins with a hello; `key` has its sender first."""
        stream = Stream(seq)
        stream.add(seq, payload)
        if payload[5] == tls.CLIENT_HELLO:
            if key not in self._clients or self._clients[key].first != seq:
                self._clients[key] = stream
        elif payload[5] == tls.SERVER_HELLO:
            key = _turned(key)
            known = self._servers.get(key)
            if known is not None and not known.told and known.stream.first == seq:  # sent again
                return
            answer = _Answer((at // _SECOND + 1 + PATIENCE_S) * _SECOND, number, key, stream)
            self._servers[key] = answer
            self._order.append(answer)
            if len(self._order) > MAX_CONNECTIONS:
                self._tell(told, at, self._order.popleft())
            self._look(told, at, number, answer)

    def more(self, told: Told, payload: bytes, seq: int, at: int, number: int, key: Key) -> None:
        """Take in a segment that may go on with a handshake."""
        stream = self._clients.get(key)
        if stream is not None:
            stream.add(seq, payload)
            return
        answer = self._servers.get(_turned(key))
        if answer is not None and not answer.told:
            before = len(answer.stream.data)
            answer.stream.add(seq, payload)
            if len(answer.stream.data) > before:
                self._look(told, at, number, answer)

    def expire(self, told: Told, now: int) -> None:
        """Tell of those whose patience ends by `now` (ns)."""
        while self._order and (self._order[0].told or self._order[0].due <= now):
            answer = self._order.popleft()
            self._tell(told, answer.due, answer)

    def finish(self, told: Told, now: int) -> None:
        """Tell of all that wait."""
        while self._order:
            self._tell(told, now, self._order.popleft())

    def _look(self, told: Told, at: int, number: int, answer: _Answer) -> None:
        if tls.server_flight(bytes(answer.stream.data)).whole:
            answer.number = number
            self._tell(told, at, answer)

    def _tell(self, told: Told, ts: int, answer: _Answer) -> None:
        if answer.told:
            return
        answer.told = True
        key = answer.key
        stream = self._clients.pop(key, None)
        hello = tls.client_hello(bytes(stream.data)) if stream else tls.ClientHello(False)
        flight = tls.server_flight(bytes(answer.stream.data))
        shown = certificates.read(flight.certificate) if flight.certificate else certificates.Certificate()
        text, ends = told.texts.code, (address_text(*key[:2]), address_text(*key[2:4]))
        protocols = b",".join(hello.protocols).decode("ascii", "backslashreplace")
        told.add(
            Kind.TLS, ts, answer.number, text(ends[0]), text(ends[1]), key[5], text(hello.name), text(flight.version),
            text(shown.subject), text(shown.issuer), 0, 0, text(protocols if protocols.isprintable() else "?"),
            text(fingerprints.ja3(hello)), text(fingerprints.ja4(hello)), shown.not_before, shown.not_after,
            int(shown.self_signed), text(shown.key),
        )  # fmt: skip
        answer.stream = Stream(answer.stream.first)


def _turned(key: Key) -> Key:
    return key[2], key[3], key[0], key[1], key[5], key[4]
