"""The gRPC side of the gate: `envoy.service.auth.v3.Authorization/Check` and `grpc.health.v1.Health/Check`.

Speaks gRPC over HTTP/2 itself (`http2`), on the event loop and the shared sockets that HTTP is served by: a general
library spends more on its threads than a decision costs.

Guarantees: a call is answered, or fails with UNAVAILABLE where there is no decision, so that Envoy's failure mode
applies; nobody waits beyond the call's deadline; connections are capped, and whoever is silent or too slow is closed;
on `drain` calls under way are answered. Health/Check tells what /health tells; Watch is not implemented, which clients
take for "healthy" (gRFC A17). Imports Envoy's messages, hence only where it is wanted.
"""

import asyncio
import re
import time
from typing import Final, cast

from ostiary.sidecar.http2 import UNIMPLEMENTED, Call, Connection, Http2Error
from ostiary.sidecar.serving import Serving
from policy.errors import DialectError
from policy.gateways import envoy_grpc
from policy.gateways.values import Question, Ruling

MAX_CONNECTIONS: Final = 256
IDLE_S: Final = 900.0
SLOW_S: Final = 5.0
"""A greeting, and a call that has begun, may take so long to be complete."""
MAX_UNWRITTEN: Final = 4 << 20
"""Bytes that a client may leave in our hands."""
DEADLINE_EXCEEDED, UNAVAILABLE = 4, 14
_ASKED: Final = f"asked.{envoy_grpc.NAME}"
_CHECK, _HEALTH = f"/{envoy_grpc.SERVICE}/Check".encode(), b"/grpc.health.v1.Health/Check"
_STATES: Final = {True: b"\x08\x01", False: b"\x08\x02"}
"""HealthCheckResponse with SERVING and NOT_SERVING."""
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class Server(Serving["Peer"]):
    """What all connections of a process share."""

    def __call__(self) -> "Peer":
        """Return the protocol of a new connection, as asyncio's servers want it."""
        return Peer(self)

    def well(self) -> bool:
        """Tell whether decisions are being made."""
        return self.door.decider is not None and not self.door.failing and not self.draining


class Peer(asyncio.Protocol):
    """One connection of a gateway."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = Connection()
        self._transport: asyncio.Transport | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._heard = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of it
        if len(self._server.connections) >= MAX_CONNECTIONS or self._server.draining:
            self._server.door.counters.add("connections_refused")
            self._transport.abort()
            return
        self._server.connections.add(self)
        self._write()

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the connection and what is under way on it."""
        self._server.connections.discard(self)
        for task in self._tasks.values():
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer the calls that are complete."""
        self._heard = time.monotonic()
        try:
            for call in self._http.receive(data):
                self._answer(call)
        except Http2Error:
            self._server.door.counters.add("bad_http")
            self._write()
            self._close()
            return
        for stream in [stream for stream in self._tasks if stream not in self._http.open]:
            self._tasks.pop(stream).cancel()  # its client has dropped it
        self._write()

    def drain(self) -> None:
        """End the connection when everything on it is answered."""
        self._http.drain()
        self._write()

    def check(self, now: float) -> None:
        """End the connection where its client is too slow, or silent for too long."""
        self._http.rest()
        silent_s = now - self._heard
        begun = not self._http.greeted or any(call not in self._tasks for call in self._http.open)
        if silent_s > IDLE_S or (silent_s > SLOW_S and begun):
            if begun:
                self._server.door.counters.add("slow_clients")
            self._close()

    def _answer(self, call: Call) -> None:
        if call.path == _CHECK:
            self._decide(call)
        elif call.path == _HEALTH:
            self._http.answer(call, _STATES[self._server.well()])
        else:
            self._http.fail(call, UNIMPLEMENTED, "no such method")

    def _decide(self, call: Call) -> None:
        door, began = self._server.door, self._server.clock()
        request, told = None, ""
        try:
            request = envoy_grpc.parse(call.message)
            if envoy_grpc.is_network(request):
                told = _route_told(call)
            question = envoy_grpc.read(request, told)
        except DialectError as error:
            place = "" if request is None else envoy_grpc.place_of(request, told)
            self._tell(call, door.unreadable(error.code, place), began)
            return
        if door.waits:
            task = asyncio.get_running_loop().create_task(self._decide_elsewhere(call, question, began))
            self._tasks[call.stream] = task
        else:
            self._tell(call, door.rule(question, began), began)

    async def _decide_elsewhere(self, call: Call, question: Question, began: int) -> None:
        try:
            async with asyncio.timeout(_timeout_s(call)):
                ruling = await self._server.door.rule_async(question, began)
            self._tell(call, ruling, began)
        except TimeoutError:
            self._http.fail(call, DEADLINE_EXCEEDED, "gate.overloaded")
        except Http2Error:
            self._close()
        self._tasks.pop(call.stream, None)
        self._write()

    def _tell(self, call: Call, ruling: Ruling, began: int) -> None:
        message = envoy_grpc.write(ruling)
        if message is None:
            self._http.fail(call, UNAVAILABLE, ruling.code)
        else:
            self._http.answer(call, message)
        counters = self._server.door.counters
        counters.add(_ASKED)
        counters.took((self._server.clock() - began) / 1e9)

    def _write(self) -> None:
        out, transport = self._http.out, self._transport
        if transport is None or transport.is_closing():
            return
        if out:
            transport.write(b"".join(out))
            out.clear()
            if transport.get_write_buffer_size() > MAX_UNWRITTEN:
                transport.abort()
        if self._http.done:
            transport.close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _route_told(call: Call) -> str:
    """Return the route that the gateway's configuration puts into the call's metadata."""
    name = envoy_grpc.ROUTE_METADATA.encode()
    return next((value.decode("latin-1") for found, value in call.headers if found == name), "")


def _timeout_s(call: Call) -> float | None:
    """Return how long a call may take; None where it doesn't say."""
    for name, value in call.headers:
        if name == b"grpc-timeout" and (match := _TIMEOUT.fullmatch(value)):
            return int(match[1]) * _UNITS[match[2]]
    return None
