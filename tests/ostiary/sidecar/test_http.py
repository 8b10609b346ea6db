"""The HTTP side, over a real socket: one answer a request, in order, and nothing that a client sends ends it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ostiary.settings import GateSettings, RouteSettings
from ostiary.sidecar import http
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.http import MAX_BODY, MAX_HEAD, PIECE, Request, Server, health
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Routes
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.errors import EngineUnavailableError
from policy.gateways.values import Answer
from policy.identity import Identities
from policy.values import Decision
from risk.standing import Part, Standing
from risk.values import Level
from sensors.entities import Entity, EntityKind

NOW = 1_764_000_000_000_000_000
BAD, GOOD = "192.0.2.66", "192.0.2.7"
ROUTES = {"/admin/": RouteSettings("normal", "enforce", "closed")}


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class House:
    """A gate's HTTP side on a unix socket; whoever comes from `BAD` is dangerous."""

    def __init__(self, folder: Path, mode: str = "enforce") -> None:
        self.path = folder / "gate.sock"
        self.counters, self.records = Counters(), list[Decision]()
        mirror = Mirror()
        mirror.synced_ns = NOW
        mirror.put(Standing(NOW, Entity(EntityKind.IP, BAD), Level.CRITICAL, 1.0, (Part("a.b", 0.95, 1e9, 1.0),)))
        routes = Routes(GateSettings(mode=mode, routes=ROUTES), "closed")  # type: ignore[arg-type]  # two literals
        self.door = Door(routes, mirror, Identities(), self.records.append, self.counters)
        self.door.decider = Decider(EmbeddedEngine(load_bundle()))
        pages = {"/health": health(self.door), "/broken": self._broken}
        handlers = {"/echo": self._echo, "/faulty": self._faulty, "/slow": self._slow, "/odd": self._odd}
        self.go_on = asyncio.Event()
        self.served: list[Request] = []
        self.server = Server(self.door, pages, lambda: NOW, handlers)

    def total(self, name: str) -> int:
        return self.counters.total(name)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["House"]:
        listening = await asyncio.get_running_loop().create_unix_server(self.server, str(self.path))
        try:
            yield self
        finally:
            listening.close()
            for connection in tuple(self.server.connections):
                connection.check(float("inf"))
            await self.until(lambda: not self.server.connections)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.001)

    def _broken(self) -> tuple[int, bytes, bytes]:
        raise RuntimeError("a bug")

    async def _echo(self, request: Request) -> Answer:
        self.served.append(request)
        return Answer(200, ((b"content-type", b"text/plain"),), request.body)

    async def _faulty(self, request: Request) -> Answer:
        raise RuntimeError("a bug")

    async def _odd(self, request: Request) -> Answer:
        return Answer(418)

    async def _slow(self, request: Request) -> Answer:
        await self.go_on.wait()
        return Answer(200, (), b"slow")


class Client:
    """A gateway that may break every rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def of(cls, house: House) -> AsyncIterator["Client"]:
        client = cls(*await asyncio.open_unix_connection(str(house.path), limit=1 << 22))
        try:
            yield client
        finally:
            client.writer.close()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):  # the gate has ended it
            await self.writer.drain()

    async def read(self, head: bool = False) -> Got:
        async with asyncio.timeout(60):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            size = 0 if head else int(headers["content-length"])
            return Got(int(first.split(" ")[1]), headers, await self.reader.readexactly(size))

    async def ask(self, data: bytes) -> Got:
        await self.send(data)
        return await self.read()

    async def ended(self) -> bytes:
        """Wait for the end; return what came before it."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


Run = Callable[..., House]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a test beside a gate; return the gate."""

    def start(test: Callable[[House], Awaitable[None]], prepare: Callable[[House], None] = lambda _: None) -> House:
        async def serve() -> House:
            house = House(tmp_path)
            prepare(house)
            async with house.open():
                await test(house)
            return house

        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(serve())

    return start


def question(address: str = GOOD, route: str = "/", more: str = "", path: str = "/auth-request") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: gate\r\nX-Real-IP: {address}\r\nX-Original-Method: GET\r\n"
        f"X-Ostiary-Route: {route}\r\n{more}\r\n"
    ).encode()


def get(path: str, more: str = "", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: gate\r\n{more}\r\n".encode()


def test_each_dialect_has_its_endpoint(run: Run) -> None:
    forward = "X-Forwarded-For: {0}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: a.org\r\nX-Forwarded-Uri: /b\r\n"
    asked = {
        "nginx": lambda address: question(address),
        "forward-auth": lambda address: get("/forward-auth", forward.format(address)),
        "envoy": lambda address: get("/ext-authz/b", f"X-Real-IP: {address}\r\n"),
    }

    async def test(house: House) -> None:
        for name, ask in asked.items():
            async with Client.of(house) as client:
                allowed, refused = await client.ask(ask(GOOD)), await client.ask(ask(BAD))
            assert (allowed.status, allowed.headers["x-ostiary-verdict"], allowed.body) == (200, "allow", b"")
            assert (refused.status, refused.headers["x-ostiary-verdict"]) == (403, "isolate")
            assert (house.total(f"asked.{name}"), len(house.records)) == (2, 2)
            house.records.clear()

    house = run(test)
    assert sum(house.total(f"took.{number}") for number in range(14)) == 6


def test_a_connection_is_kept_until_its_client_says_otherwise(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            for _ in range(3):
                assert "connection" not in (await client.ask(question())).headers
            assert house.total("connections") == 1
            last = await client.ask(question(more="Connection: close\r\n"))
            assert (last.status, last.headers["connection"]) == (200, "close")
            assert await client.ended() == b""
        async with Client.of(house) as client:
            assert (await client.ask(question().replace(b"1.1", b"1.0"))).headers["connection"] == "close"
            assert await client.ended() == b""

    house = run(test)
    assert (house.total("connections"), house.total("bad_http")) == (0, 0)


@pytest.mark.parametrize("size", [1, 7, 4_096, 1 << 20])
def test_many_requests_at_once_are_answered_in_their_order(run: Run, size: int) -> None:
    """Each is small; together they are more than a head may be."""
    count = 1_000 if size > 7 else 40
    sent = b"".join(question(BAD if number % 3 == 0 else GOOD) for number in range(count))
    assert count < 1_000 or len(sent) > MAX_HEAD + MAX_BODY

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            for at in range(0, len(sent), size):
                client.writer.write(sent[at : at + size])
                if size < 100:
                    await asyncio.sleep(0)
            got = [(await client.read()).status for _ in range(count)]
            assert got == [403 if number % 3 == 0 else 200 for number in range(count)]

    assert run(test).total("bad_http") == 0


def test_what_comes_after_the_last_request_is_not_answered_and_harms_nothing(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            await client.send(question(more="Connection: close\r\n") + question(BAD))
            assert (await client.read()).status == 200
            assert await client.ended() == b""

    house = run(test)
    assert (house.total("questions"), house.total("bad_http")) == (1, 0)


def test_an_upgrade_is_not_followed(run: Run) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            await client.send(question(more=upgrade) + question(BAD, more=upgrade) + question())
            assert [(await client.read()).status for _ in range(3)] == [200, 403, 200]
            assert (await client.ask(question())).status == 200

    assert run(test).total("bad_http") == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /auth-request HTTP/1.1\nHost: a\n\n",
        get("/a b"),
        get("/\u00fc"),
        get("/health", "A: b\r\n c\r\n"),
        get("/health", "A : b\r\n"),
        get("/health", "A: b\0\r\n"),
        get("/health", "A: b\rC: d\r\n"),
        get("/health", "Content-Length: 3\r\nContent-Length: 4\r\n") + b"abcd",
        get("/health", "Content-Length: +3\r\n") + b"abc",
        get("/health", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        get("/health", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + b"0\r\n\r\n",
        get("/health", "Transfer-Encoding: xchunked\r\n") + b"0\r\n\r\n",
        get("/health", "Transfer-Encoding: chunked, identity\r\n") + b"0\r\n\r\n",
        get("/health", "Transfer-Encoding: chunked\r\n") + b"zz\r\n",
        get("/echo", "Transfer-Encoding: chunked\r\n") + b"1\r\nab\r\n",
    ],
)
def test_what_is_not_http_is_counted_and_not_answered(run: Run, sent: bytes) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            await client.send(sent)
            assert await client.ended() == b""
        async with Client.of(house) as client:
            assert (await client.ask(question())).status == 200

    house = run(test)
    assert (house.total("bad_http"), house.total("questions")) == (1, 1)


def test_what_comes_after_a_body_is_no_header(run: Run) -> None:
    trailers = b"0\r\nX-Real-IP: 192.0.2.66\r\nAuthorization: Basic YTpi\r\n\r\n"

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            asked = await client.ask(question(more="Transfer-Encoding: chunked\r\n") + trailers)
            assert (asked.status, asked.headers["x-ostiary-verdict"]) == (200, "allow")
            await client.ask(get("/echo", "Transfer-Encoding: chunked\r\n") + b"2\r\nab\r\n" + trailers)

    house = run(test)
    assert (house.served[0].body, dict(house.served[0].headers).get(b"x-real-ip")) == (b"ab", None)


@pytest.mark.parametrize(
    "begin", [b"GET /", b"GET / HTTP/1.1\r\nA: ", question() + b"GET / HTTP/1.1\r\nA: ", b"GET / HTTP/1.1\r\n"]
)
def test_a_head_that_is_too_large(run: Run, begin: bytes) -> None:
    filled = b"b: c\r\n" if begin.endswith(b"1\r\n") else b"a"

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            await client.send(begin + filled * (3 * MAX_HEAD // len(filled)))
            await client.ended()
        async with Client.of(house) as client:
            await client.send(begin + filled * ((MAX_HEAD - PIECE) // len(filled) - 64))  # as much is waited for
            for _ in range(begin.count(b"auth-request")):
                await client.read()
            await client.send(filled * (2 * PIECE // len(filled)))
            await client.ended()

    assert run(test).total("bad_http") == 2


def test_bodies_are_read_up_to_their_limit_and_by_pages_alone(run: Run) -> None:
    def posted(path: str, size: int, chunked: bool = False) -> bytes:
        body = b"a" * size
        if chunked:
            return get(path, "Transfer-Encoding: chunked\r\n", "POST") + b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        return get(path, f"Content-Length: {size}\r\n", "POST") + body

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            for size in (0, 1, PIECE, MAX_BODY):
                assert len((await client.ask(posted("/echo", size))).body) == size
            assert len((await client.ask(posted("/echo", MAX_BODY, chunked=True))).body) == MAX_BODY
            assert (await client.ask(posted("/auth-request", 1_000))).status == 403  # it only lacks its headers
        for large in (posted("/echo", MAX_BODY + MAX_HEAD), posted("/echo", MAX_BODY + MAX_HEAD, chunked=True),
                      posted("/auth-request", MAX_HEAD + MAX_BODY), posted("/echo", 10 * MAX_BODY)):  # fmt: skip
            async with Client.of(house) as client:
                await client.send(large)
                assert await client.ended() == b""

    house = run(test)
    assert (house.total("bad_http"), len(house.served)) == (4, 5)


def test_a_slow_client_is_swept_away_and_a_silent_one_later(run: Run) -> None:
    async def test(house: House) -> None:
        begun = time.monotonic()
        sent = {b"GET": 1, b"GET /auth": 1, question() + b"GET": 1, question(): 0, b"": 0,
                get("/echo", "Content-Length: 3\r\n", "POST") + b"ab": 1}  # fmt: skip
        for data, slow in sent.items():
            before = house.total("slow_clients")
            async with Client.of(house) as client:
                await client.send(data)
                await house.until(lambda: bool(house.server.connections))
                (connection,) = house.server.connections
                await house.until(lambda data=data, one=connection: bool(one._size) or data in (b"", question()))
                if data.startswith(question()):
                    await client.read()
                connection.check(begun + http.HEAD_S - 1)
                house.server.sweep()
                await asyncio.sleep(0.01)
                assert house.server.connections
                connection.check(time.monotonic() + http.HEAD_S + 1)
                if not slow:
                    await asyncio.sleep(0.01)
                    assert house.server.connections
                    connection.check(time.monotonic() + http.IDLE_S + 1)
                await client.ended()
            await house.until(lambda: not house.server.connections)
            assert house.total("slow_clients") - before == slow

    run(test)


def test_connections_are_capped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 2)

    async def test(house: House) -> None:
        async with Client.of(house) as one, Client.of(house) as two:
            for client in (one, two):
                assert (await client.ask(question())).status == 200
            async with Client.of(house) as three:
                assert await three.ended() == b""
            assert (house.total("connections"), house.total("connections_refused")) == (2, 1)
            assert (await one.ask(question())).status == 200
        await house.until(lambda: not house.server.connections)
        async with Client.of(house) as four:
            assert (await four.ask(question())).status == 200

    run(test)


def test_connections_of_a_process_that_died_are_not_told(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.counters.put("connections", 7)
    Server(house.door, {})
    assert house.total("connections") == 0


def test_draining_answers_what_is_under_way_and_nothing_more(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as idle, Client.of(house) as begun, Client.of(house) as asking:
            assert (await idle.ask(question())).status == 200
            await begun.send(question()[:-10])
            await asking.send(get("/slow"))
            await house.until(lambda: sum(bool(one._size or one._task) for one in house.server.connections) == 2)
            house.server.drain()
            assert await idle.ended() == b""
            await begun.send(question()[-10:] + question())
            got = await begun.read()
            assert (got.status, got.headers["connection"], await begun.ended()) == (200, "close", b"")
            house.go_on.set()
            assert (await asking.read()).headers["connection"] == "close"
            assert await asking.ended() == b""
            async with Client.of(house) as late:
                assert await late.ended() == b""
        await house.until(lambda: not house.server.connections)

    house = run(test)
    assert (house.total("questions"), house.total("connections_refused")) == (2, 1)


def test_pages(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            health = await client.ask(get("/health"))
            assert (health.status, json.loads(health.body)["status"]) == (200, "ok")
            await client.send(get("/health", method="HEAD"))
            head = await client.read(head=True)
            assert (head.status, int(head.headers["content-length"])) == (200, len(health.body))
            for path in ("/", "/auth-request/", "/ext-authzz", "/healthy", "*", "http://gate/health"):
                assert (await client.ask(get(path))).status == 404
            assert (await client.ask(get("/health?a=b"))).status == 200
            assert (await client.ask(get("/echo?a=b", "Content-Length: 2\r\nX-A: b\r\n", "POST") + b"hi")).body == b"hi"
            assert (await client.ask(get("/odd"))).status == 418

    house = run(test)
    (echoed,) = house.served
    assert (echoed.method, echoed.target, dict(echoed.headers)[b"x-a"]) == ("POST", "/echo?a=b", b"b")
    assert house.total("questions") == 0


def test_a_page_that_fails_is_out_of_order_and_nothing_else_is(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            for path in ("/faulty", "/broken"):
                assert (await client.ask(get(path))).status == 503
                assert (await client.ask(question())).status == 200

    house = run(test)
    assert (house.total("bad_pages"), house.total("bad_http")) == (2, 0)


def test_health_says_whether_decisions_are_made(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            house.door.decider = None
            got = await client.ask(get("/health"))
            assert (got.status, json.loads(got.body)["status"]) == (503, "failing")
            assert (await client.ask(question())).status == 503

    run(test)


def test_a_question_that_cannot_be_read_is_no_way_in(run: Run) -> None:
    odd = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: a\r\nX-Forwarded-Uri: {}\r\n"

    def observing(house: House) -> None:
        house.door.routes = Routes(GateSettings(routes=ROUTES), "closed")

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            for uri, status in (("/admin%2fusers", 400), ("/shop/..%2fadmin", 400), ("/shop/50%25", 200)):
                got = await client.ask(get("/forward-auth", odd.format(uri)))
                assert (got.status, got.headers["x-ostiary-error"]) == (status, "gateway.path")
            assert (await client.ask(question("nobody", "/admin/"))).status == 403
            assert (await client.ask(question("nobody", "/"))).status == 200

    house = run(test, observing)
    assert (house.total("undecided.gateway"), house.total("asked.forward-auth")) == (5, 3)


def test_a_fault_of_ours_while_a_question_is_read_fails_as_declared(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async def test(house: House) -> None:
        async with Client.of(house) as client:
            got = await client.ask(question(route="/admin/"))
            assert (got.status, got.headers["x-ostiary-error"]) == (503, "gate.internal")

    monkeypatch.setattr(http.DIALECTS["/auth-request"], "read", broken)
    assert run(test).total("undecided.gate.internal") == 1


class Elsewhere:
    """An engine that answers a route only when it is told to."""

    name, revision = "elsewhere", "r1"

    def __init__(self) -> None:
        self._engine = EmbeddedEngine(load_bundle())
        self.asked: list[str] = []
        self.go_on = asyncio.Event()

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        raise EngineUnavailableError("it would hold up everybody")

    async def evaluate_async(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(document["subject"]["id"])
        if document["subject"]["id"] == BAD:
            await self.go_on.wait()
        return self._engine.evaluate(document)


def test_an_engine_elsewhere_holds_up_nobody(run: Run) -> None:
    async def test(house: House) -> None:
        engine = Elsewhere()
        house.door.decider = Decider(engine)
        async with Client.of(house) as waiting, Client.of(house) as gone, Client.of(house) as other:
            await waiting.send(question(BAD))
            await gone.send(question(BAD, "/gone"))
            await house.until(lambda: len(engine.asked) == 2)
            await waiting.send(question(GOOD, "/admin/next"))  # it has its turn
            assert (await other.ask(question())).status == 200
            gone.writer.transport.abort()
            await house.until(lambda: len(house.server.connections) == 2)
            for connection in house.server.connections:
                connection.check(float("inf") if connection._task else 0.0)  # nobody is slow but the engine
            engine.go_on.set()
            assert [(await waiting.read()).status for _ in range(2)] == [403, 200]

    house = run(test)
    assert [decision.entity.id for decision in house.records] == [GOOD, BAD, GOOD]


def test_whoever_sends_too_much_while_it_waits_is_ended(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            await client.send(get("/slow"))
            await house.until(lambda: any(one._task for one in house.server.connections))
            await client.send(question() * (2 * MAX_HEAD // len(question())))
            assert await client.ended() == b""
        async with Client.of(house) as client:  # as does whoever sends the next together with it
            await client.send(get("/slow") + question())
            assert await client.ended() == b""

    house = run(test)
    assert (house.total("bad_http"), house.total("questions")) == (2, 0)


def test_whoever_does_not_read_its_answers_is_not_read_either(run: Run) -> None:
    async def test(house: House) -> None:
        async with Client.of(house) as client:
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # there is no public way
            sending = asyncio.create_task(client.send(question() * 100_000))
            counted = -1
            while counted != house.total("questions"):
                counted = house.total("questions")
                await asyncio.sleep(0.2)
            assert 0 < counted < 100_000
            (connection,) = house.server.connections
            assert connection._transport.get_write_buffer_size() < 1 << 20  # type: ignore[union-attr]  # it is open
            sending.cancel()
            client.reader._transport.resume_reading()  # type: ignore[attr-defined]  # as above
            for _ in range(counted):
                assert (await client.read()).status == 200
            await house.until(lambda: house.total("questions") > counted)  # it goes on
            client.writer.transport.abort()

    run(test)


PARTS = st.sampled_from(
    [b"GET ", b"POST ", b"HEAD ", b"/auth-request", b"/ext-authz/..%2f", b"/echo", b"/health", b" HTTP/1.1", b"\r\n",
     b"\r\n\r\n", b"X-Real-IP: 192.0.2.7\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
     b"5\r\nabcde", b"0\r\n\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: a\r\n", b":", b" ",
     b"\0", b"\xff",
     question(), get("/echo", "Content-Length: 2\r\n", "POST") + b"hi", get("/faulty"), get("/broken"), get("/nothing")]
)  # fmt: skip


@given(
    st.lists(st.tuples(st.lists(PARTS, max_size=8).map(b"".join) | st.binary(max_size=60), st.booleans()), max_size=5)
)
@example([(question(), False), (b"CONNECT a:1 HTTP/1.1\r\n\r\n", True), (question(), False)])
@settings(
    derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_clients_send_the_next_is_answered(tmp_path: Path, sent: list[tuple[bytes, bool]]) -> None:
    async def hostile() -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        house = House(tmp_path)
        async with house.open():
            async with Client.of(house) as client:
                for data, pause in sent:
                    client.writer.write(data)
                    if pause:
                        await asyncio.sleep(0)
                with contextlib.suppress(OSError):  # it has ended before
                    client.writer.write_eof()
                await client.ended()
            async with Client.of(house) as client:
                assert (await client.ask(question())).status == 200
        assert failed == []

    asyncio.run(hostile())
    (tmp_path / "gate.sock").unlink(missing_ok=True)
