"""The SPOP side of the gate: HAProxy asks over few connections, many questions on each (`policy.gateways.spop`).

Guarantees: one answer a question, on its connection; those that an engine elsewhere decides are answered in the order
in which decisions come (SPOP lets them), at most `MOST_WAITING` at a time, and nothing more is read until some are; the
first frame has to be a HAPROXY-HELLO; a frame that has begun has `FRAME_S` seconds, and connections are capped; whoever
breaks these, or doesn't speak SPOP, is told why, closed and counted; one who doesn't read its answers is not read from;
on `drain` what was read is answered, and HAProxy is told that the connection ends.
"""

import asyncio
import time
from typing import Final, cast

from ostiary.sidecar.serving import Serving
from policy.errors import DialectError
from policy.gateways import spoe, spop
from policy.gateways.spop import Frame
from policy.gateways.values import Question, Ruling

FRAME_S: Final = 5.0
IDLE_S: Final = 300.0
MAX_CONNECTIONS: Final = 1_024
MOST_WAITING: Final = 256
"""Questions of a connection that wait for an engine elsewhere; HAProxy's own limit is 20 (`max-waiting-frames`)."""


class SpoeServer(Serving["SpoeConnection"]):
    """What all connections of a process share."""

    def __call__(self) -> "SpoeConnection":
        """Return the protocol of a new connection, as asyncio's servers want it."""
        return SpoeConnection(self)


class SpoeConnection(asyncio.Protocol):
    """One connection of HAProxy."""

    __slots__ = ("_begun", "_buffer", "_ended", "_full", "_most", "_said_hello", "_server", "_tasks", "_transport")

    def __init__(self, server: SpoeServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._begun = time.monotonic()
        self._most = spop.MOST
        self._said_hello = self._ended = self._full = False
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of it
        server, counters = self._server, self._server.door.counters
        if len(server.connections) >= MAX_CONNECTIONS or server.draining:
            counters.add("connections_refused")
            self._ended = True
            transport.abort()
            return
        server.connections.add(self)
        counters.put("connections_spoe", len(server.connections))

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the connection."""
        self._ended = True
        self._server.connections.discard(self)
        self._server.door.counters.put("connections_spoe", len(self._server.connections))
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer the frames that are whole."""
        if self._ended:
            return
        data, answers = self._buffer + data, []
        at = 0
        try:
            while not self._ended and (taken := spop.take_frame(data, at, self._most)) is not None:
                frame, at = taken
                if answer := self._answer(frame):
                    answers.append(answer)
        except DialectError as error:
            self._server.door.counters.add("bad_spoe")
            answers.append(spop.write_disconnect(error.code, str(error)))
            self._ended = True
        if at or not self._buffer:
            self._begun = time.monotonic()
        self._buffer = data[at:]
        if answers:
            self._write(b"".join(answers))
        if self._ended and self._transport is not None:
            self._transport.close()

    def _answer(self, frame: Frame) -> bytes:
        """Return what answers a frame; b"" where that comes later. Raise `DialectError`."""
        if frame.kind == spop.NOTIFY and self._said_hello:
            return self._ask(frame)
        if frame.kind == spop.HAPROXY_HELLO and not self._said_hello:
            hello = spop.read_hello(frame.payload)
            self._most, self._said_hello, self._ended = hello.max_frame, True, hello.healthcheck
            return spop.write_hello(hello)
        if frame.kind == spop.HAPROXY_DISCONNECT:
            self._ended = True
            return spop.write_disconnect("", "bye")
        raise DialectError("gateway.spoe-frame", "a frame of a kind that isn't due")

    def _ask(self, frame: Frame) -> bytes:
        door, began = self._server.door, self._server.clock()
        messages = spop.read_messages(frame.payload)
        name, sent = messages[0] if len(messages) == 1 else ("", {})
        try:
            question = spoe.read(name, sent)
        except DialectError as error:
            return self._told(frame, name, door.unreadable(error.code, spoe.place_of(name, sent)), began)
        if not door.waits:
            return self._told(frame, name, door.rule(question, began), began)
        task = asyncio.get_running_loop().create_task(self._ask_elsewhere(frame, name, question, began))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        self._pace()
        return b""

    async def _ask_elsewhere(self, frame: Frame, name: str, question: Question, began: int) -> None:
        ruling = await self._server.door.rule_async(question, began)
        self._write(self._told(frame, name, ruling, began))

    def _told(self, frame: Frame, name: str, ruling: Ruling, began: int) -> bytes:
        counters = self._server.door.counters
        counters.add("asked.haproxy")
        counters.took((self._server.clock() - began) / 1e9)
        return spop.frame(spop.ACK, frame.stream, frame.number, spoe.write(ruling, name))

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._pace()
        if self._ended and not self._tasks:
            self._leave()

    def pause_writing(self) -> None:
        """Read no more questions while HAProxy doesn't read the answers."""
        self._full = True
        self._pace()

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        self._pace()

    def _pace(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._full or len(self._tasks) >= MOST_WAITING:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def check(self, now: float) -> None:
        """End the connection where a frame takes too long, or nothing came for too long."""
        late = self._buffer or not self._said_hello or self._full
        if self._tasks or now - self._begun <= (FRAME_S if late else IDLE_S):
            return
        if late and self._transport is not None:
            self._server.door.counters.add("slow_clients")
            self._transport.abort()
        else:
            self.drain()

    def drain(self) -> None:
        """End the connection once everything that was read is answered."""
        if self._ended:
            return
        self._ended = True
        if not self._tasks:
            self._leave()

    def _leave(self) -> None:
        self._write(spop.write_disconnect("", "the gate ends"))
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
