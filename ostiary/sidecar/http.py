"""The HTTP side of the gate: a protocol on httptools, one endpoint a dialect, no framework in between.

    /auth-request            nginx
    /forward-auth            Caddy, Traefik
    /ext-authz, /ext-authz/* Envoy
    /health                  200 while decisions are being made, 503 while they are not
    /metrics                 Prometheus
    further pages            what `Server.handlers` names; they read the whole request and may take their time

Guarantees: one answer a request, in their order (RFC 9112, section 9.3.2); a head has at most `MAX_HEAD` bytes and
`HEAD_S` seconds, a whole request `MAX_BODY` more, connections are capped, and whoever breaks these is closed and
counted; whoever doesn't read its answers is not read either; on `drain` requests under way are answered and told that
the connection ends. What is not HTTP is counted.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final, cast

import httptools

from ostiary.sidecar.door import Door
from ostiary.sidecar.serving import Serving
from policy.errors import DialectError
from policy.gateways import auth_request, ext_authz, forward_auth
from policy.gateways.values import Answer, Ruling

MAX_HEAD: Final = 32_768
MAX_BODY: Final = 65_536
PIECE: Final = 4_096
"""What came is read in pieces of so many bytes, between which the limits are looked after."""
HEAD_S: Final = 5.0
IDLE_S: Final = 300.0
MAX_CONNECTIONS: Final = 8_192
DIALECTS: Final[dict[str, ModuleType]] = {
    "/auth-request": auth_request,
    "/forward-auth": forward_auth,
    "/ext-authz": ext_authz,
}
_REASONS = {
    200: b"OK", 202: b"Accepted", 302: b"Found", 303: b"See Other", 400: b"Bad Request", 401: b"Unauthorized",
    403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 413: b"Content Too Large", 429: b"Too Many Requests", 503: b"Service Unavailable",
}  # fmt: skip
_STATUS = {status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in _REASONS.items()}
Page = Callable[[], tuple[int, bytes, bytes]]
"""(status, content type, body) of something that isn't a question."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request, for pages that read more than its path."""

    method: str
    target: str
    """Path and query, as they came."""
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    body: bytes
    """At most `MAX_HEAD` + `MAX_BODY` bytes, with the head."""


Handler = Callable[[Request], Awaitable[Answer]]
"""Answers a request to a page; what it raises is answered 503 and counted."""


class Server(Serving["Connection"]):
    """What all connections of a process share."""

    def __init__(
        self, door: Door, pages: dict[str, Page], clock: Callable[[], int] = time.time_ns,
        handlers: dict[str, Handler] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(door, clock)
        self.pages, self.handlers = pages, handlers or {}
        door.counters.put("connections", 0)  # those of a process that died before this one are gone

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection, as asyncio's servers want it."""
        return Connection(self)


class Connection(asyncio.Protocol):
    """One connection of a gateway."""

    __slots__ = (
        "_begun", "_body", "_handler", "_headed", "_headers", "_parser", "_piece", "_server", "_size", "_target",
        "_task", "_transport", "_waiting",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._headed = False
        self._piece = self._size = 0
        self._body = b""
        self._handler: Handler | None = None
        self._begun = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of it
        counters = self._server.door.counters
        if len(self._server.connections) >= MAX_CONNECTIONS or self._server.draining:
            counters.add("connections_refused")
            transport.abort()
            return
        self._server.connections.add(self)
        counters.put("connections", len(self._server.connections))

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the connection."""
        self._server.connections.discard(self)
        self._server.door.counters.put("connections", len(self._server.connections))
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Read what came; answers are written as requests are complete."""
        for start in range(0, len(data), PIECE):
            self._read(data[start : start + PIECE])

    def pause_writing(self) -> None:
        """Read no further request while its client doesn't read the answers."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on when it does."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _read(self, piece: bytes) -> None:
        if self._closing:
            return
        if self._task is not None:  # the one before is not answered yet
            self._waiting.append(piece)
            if sum(map(len, self._waiting)) > MAX_HEAD:
                self._end("bad_http")
            return
        if self._size + PIECE > (MAX_HEAD + MAX_BODY if self._headed else MAX_HEAD):
            self._end("bad_http")
            return
        self._piece = len(piece)
        self._size += self._piece
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:  # which nobody has to follow (RFC 9110, section 7.8)
            if rest := piece[upgrade.args[0] :]:
                self._read(rest)
        except httptools.HttpParserError:
            if not self._closing:
                self._end("bad_http")

    @property
    def _closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def on_message_begin(self) -> None:
        """Begin a request; one that comes together with another that isn't answered yet ends the connection."""
        if self._task is not None:
            self._end("bad_http")
            return
        self._target, self._headers, self._body, self._handler = b"", [], b"", None
        self._headed, self._size = False, self._piece
        self._begun = time.monotonic()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after a body is none (RFC 9110, section 6.5.1)."""
        if not self._headed:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See who is to answer."""
        self._headed = True
        self._handler = self._server.handlers.get(self._target.partition(b"?")[0].decode("latin-1"))

    def on_body(self, body: bytes) -> None:
        """Take a body where a page reads it; no dialect does."""
        if self._handler is not None:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer a request."""
        if self._task is not None or self._closing:
            return
        self._size = 0
        if self._handler is not None:
            method = self._parser.get_method().decode("latin-1")
            request = Request(method, self._target.decode("latin-1"), tuple(self._headers), self._body)
            self._task = asyncio.get_running_loop().create_task(self._serve_page(self._handler, request))
            return
        began = self._server.clock()
        path = self._target.partition(b"?")[0].decode("latin-1")
        dialect = DIALECTS.get("/ext-authz" if path.startswith("/ext-authz/") else path)
        if dialect is not None:
            self._ask(dialect, self._target.decode("latin-1"), began)
            return
        page = self._server.pages.get(path)
        try:
            status, kind, body = page() if page else (404, b"text/plain", b"no such endpoint\n")
        except Exception:  # noqa: BLE001 - a page's trouble is not the questions'
            self._write(self._out_of_order())
        else:
            self._write(Answer(status, ((b"content-type", kind),), body))

    def _ask(self, dialect: ModuleType, target: str, began: int) -> None:
        door = self._server.door
        try:
            question = dialect.read(self._headers, self._parser.get_method().decode("latin-1"), target)
        except Exception as error:  # noqa: BLE001 - whatever broke, the ruling is the declared one
            code = error.code if isinstance(error, DialectError) else "gate.internal"
            ruling = door.unreadable(code, dialect.place_of(self._headers, target))
            self._tell(dialect, ruling, began)
            return
        if door.waits:
            self._task = asyncio.get_running_loop().create_task(self._ask_elsewhere(dialect, question, began))
        else:
            self._tell(dialect, door.rule(question, began), began)

    async def _ask_elsewhere(self, dialect: ModuleType, question: object, began: int) -> None:
        ruling = await self._server.door.rule_async(question, began)  # type: ignore[arg-type]  # what the dialect read
        self._task = None
        self._tell(dialect, ruling, began)
        self._go_on()

    async def _serve_page(self, handler: Handler, request: Request) -> None:
        try:
            answer = await handler(request)
        except Exception:  # noqa: BLE001 - a page's trouble is not the questions'
            answer = self._out_of_order()
        self._task = None
        self._write(answer)
        self._go_on()

    def _out_of_order(self) -> Answer:
        self._server.door.counters.add("bad_pages")
        return Answer(503, ((b"content-type", b"text/plain"),), b"this page is out of order\n")

    def _go_on(self) -> None:
        """Read what came meanwhile."""
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._read(data)

    def _tell(self, dialect: ModuleType, ruling: Ruling, began: int) -> None:
        self._write(dialect.write(ruling))
        counters = self._server.door.counters
        counters.add(_ASKED[dialect])
        counters.took((self._server.clock() - began) / 1e9)

    def _write(self, answer: Answer) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        last = self._server.draining or not self._parser.should_keep_alive()
        parts = [_STATUS.get(answer.status) or b"HTTP/1.1 %d \r\n" % answer.status]
        parts += [b"%b: %b\r\n" % header for header in answer.headers]
        if last:
            parts.append(b"connection: close\r\n")
        parts.append(b"content-length: %d\r\n\r\n" % len(answer.body))
        if self._parser.get_method() != b"HEAD":
            parts.append(answer.body)
        transport.write(b"".join(parts))
        self._begun = time.monotonic()
        if last:
            transport.close()

    def check(self, now: float) -> None:
        """End the connection where its client is too slow with a head, or silent for too long."""
        limit = HEAD_S if self._size else IDLE_S
        if self._task is None and now - self._begun > limit:
            self._end("slow_clients" if self._size else None)

    def drain(self) -> None:
        """End the connection now if nothing is under way on it, else after the next answer."""
        if not self._size and self._task is None and self._transport is not None:
            self._transport.close()

    def _end(self, counted: str | None) -> None:
        if counted:
            self._server.door.counters.add(counted)
        if self._transport is not None:
            self._transport.abort()


_ASKED = {module: f"asked.{module.NAME}" for module in DIALECTS.values()}


def health(door: Door) -> Page:
    """Return the page that says whether decisions are being made."""

    def page() -> tuple[int, bytes, bytes]:
        well = door.decider is not None and not door.failing
        age_s = (time.time_ns() - door.mirror.synced_ns) / 1e9 if door.mirror.synced_ns else None
        told = {
            "status": "ok" if well else "failing",
            "policy_revision": door.decider.revision if door.decider else "",
            "model_revision": door.mirror.revision,
            "risks": len(door.mirror),
            "risks_age_s": age_s if age_s is None else round(age_s, 3),
            "overloaded": door.overloaded,
        }
        return 200 if well else 503, b"application/json", json.dumps(told).encode()

    return page
