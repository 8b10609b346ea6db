"""The SPOP server: each of many questions on a connection is answered; whoever breaks its rules is told and closed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ostiary.settings import GateSettings
from ostiary.sidecar import spoe as sidecar
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Routes
from ostiary.sidecar.spoe import SpoeServer
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.gateways import spop
from policy.gateways.values import Question, Ruling
from policy.identity import Identities

NOW = 1_764_000_000_000_000_000
VECTORS = Path(__file__).parents[2] / "vectors" / "gateways"


def vector(name: str) -> bytes:
    return bytes.fromhex((VECTORS / f"haproxy-2.6-{name}.hex").read_text())


def question(number: int, source: bytes = b"\xc0\0\2\7", **texts: bytes) -> bytes:
    texts = {"method": b"GET", "host": b"a.example", "target": b"/", **texts}
    sent = spop.string(b"src") + b"\6" + source
    sent += b"".join(spop.string(key.encode()) + b"\x08" + spop.string(value) for key, value in texts.items())
    return spop.frame(spop.NOTIFY, 7, number, spop.string(b"ostiary-http") + bytes((1 + len(texts),)) + sent)


class House:
    """A server, its counters, and connections to it."""

    def __init__(self, mode: str = "enforce") -> None:
        self.counters = Counters()
        settings = GateSettings(mode=mode)  # type: ignore[arg-type]  # a literal
        mirror = Mirror()
        mirror.synced_ns = NOW
        self.door = Door(Routes(settings, "closed"), mirror, Identities(), lambda _: None, self.counters)
        self.door.decider = Decider(EmbeddedEngine(load_bundle()))
        self.server = SpoeServer(self.door, lambda: NOW)
        self.port = 0
        self.peers: list[Peer] = []

    async def talk(self, use: Callable[["House"], Awaitable[Any]]) -> Any:
        listening = await asyncio.get_running_loop().create_server(self.server, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            return await asyncio.wait_for(use(self), 60)
        finally:
            listening.close()
            for peer in self.peers:
                peer.writer.transport.abort()
            await once(lambda: not self.server.connections)
            await asyncio.sleep(0.01)

    async def connect(self, first: bytes = b"") -> "Peer":
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        peer.writer.write(first or vector("hello"))
        if not first:
            assert (await peer.frame()).kind == spop.AGENT_HELLO
        return peer


class Peer:
    """HAProxy's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> spop.Frame:
        head = await self.reader.readexactly(4)
        taken = spop.take_frame(head + await self.reader.readexactly(int.from_bytes(head)), 0, spop.MOST)
        assert taken is not None
        return taken[0]

    async def allowed(self) -> tuple[int, bool]:
        """The number of the next question that is answered, and whether it was allowed."""
        frame = await self.frame()
        assert (frame.kind, frame.stream) == (spop.ACK, 7)
        return frame.number, spop.read_value(frame.payload, 3 + len(spop.string(b"allow")))[0] is True

    async def reason(self) -> int:
        """The status of a DISCONNECT, after which the connection ends."""
        frame = await self.frame()
        assert frame.kind == spop.AGENT_DISCONNECT
        assert await self.reader.read() == b""
        status = spop.read_list(frame.payload, 0)[0]["status-code"]
        assert isinstance(status, int)
        return status


def run(use: Callable[[House], Awaitable[Any]], house: House | None = None) -> House:
    house = house or House()
    uvloop.run(house.talk(use))
    return house


def test_what_a_real_haproxy_asks_is_answered() -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        peer.writer.write(vector("notify-http") + vector("notify-tcp") + vector("notify-http6"))
        frames = [await peer.frame() for _ in range(3)]
        assert [frame.kind for frame in frames] == [spop.ACK] * 3
        assert all(b"risk.low" in frame.payload for frame in frames)
        assert [frame.payload[2] for frame in frames] == [2, 1, 2]  # scopes: txn, sess, txn

    house = run(use)
    assert house.counters.total("asked.haproxy") == house.counters.total("questions") == 3
    assert house.counters.total("bad_spoe") == 0


def test_questions_that_come_in_pieces_or_together() -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        data = b"".join(question(number) for number in range(20))
        for at in range(0, len(data), 33):
            peer.writer.write(data[at : at + 33])
            await peer.writer.drain()
            await asyncio.sleep(0)
        assert [await peer.allowed() for _ in range(20)] == [(number, True) for number in range(20)]

    run(use)


def test_a_health_check_is_answered_and_closed() -> None:
    async def use(house: House) -> None:
        peer = await house.connect(vector("hello-check"))
        assert (await peer.frame()).kind == spop.AGENT_HELLO
        assert await peer.reader.read() == b""

    assert run(use).counters.total("questions") == 0


def test_haproxy_says_goodbye() -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        peer.writer.write(spop.frame(spop.HAPROXY_DISCONNECT, 0, 0, b"") + question(1))
        assert await peer.reason() == 0

    house = run(use)
    assert house.counters.total("bad_spoe") == house.counters.total("questions") == 0


@pytest.mark.parametrize(
    ("hello", "data", "status"),
    [
        (False, b"GET / HTTP/1.1\r\n\r\n", 3),
        (False, question(1), 4),
        (False, spop.frame(spop.HAPROXY_HELLO, 0, 0, b""), 8),
        (True, vector("hello"), 4),
        (True, spop.frame(77, 0, 0, b""), 4),
        (True, spop.frame(spop.NOTIFY, 1, 1, b"\5ab"), 4),
        (True, (16_381).to_bytes(4), 3),
        (True, b"\0\0\0\7\3\0\0\0\0\1\1", 10),
    ],
)
def test_what_is_not_spop_is_told_why_and_counted(hello: bool, data: bytes, status: int) -> None:
    async def use(house: House) -> None:
        peer = await (house.connect() if hello else house.connect(data))
        if hello:
            peer.writer.write(data)
        assert await peer.reason() == status

    assert run(use).counters.total("bad_spoe") == 1


def test_one_clients_nonsense_ends_nobody_elses_questions() -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        peer.writer.write(question(1, target=b"/../x") + question(2) + spop.frame(spop.NOTIFY, 7, 3, b""))
        assert [await peer.allowed() for _ in range(3)] == [(1, False), (2, True), (3, False)]

    house = run(use)
    assert house.counters.total("undecided.gateway") == 2
    assert house.counters.total("bad_spoe") == 0


class Elsewhere(Door):
    """Decides when the test lets it, the last question first."""

    waits = True

    def __init__(self, door: Door) -> None:
        super().__init__(door.routes, door.mirror, door.identities, lambda _: None, door.counters)
        self.waiting: list[asyncio.Future[None]] = []

    async def rule_async(self, question: Question, now: int) -> Ruling:
        self.waiting.append(asyncio.get_running_loop().create_future())
        await self.waiting[-1]
        return Ruling(True, None, "gate.internal")


async def once(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


def elsewhere() -> tuple[House, Elsewhere]:
    house = House()
    house.server.door = house.door = door = Elsewhere(house.door)
    return house, door


def test_an_engine_elsewhere_holds_up_nobody() -> None:
    house, door = elsewhere()

    async def use(house: House) -> None:
        peer = await house.connect()
        peer.writer.write(question(1) + question(2) + question(3))
        await once(lambda: len(door.waiting) == 3)
        for number in (3, 1, 2):
            door.waiting[number - 1].set_result(None)
            assert await peer.allowed() == (number, True)

    run(use, house)


def test_no_more_is_read_than_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "MOST_WAITING", 4)
    house, door = elsewhere()

    async def use(house: House) -> None:
        peer = await house.connect()
        for number in range(12):
            peer.writer.write(question(number))
            await peer.writer.drain()
            await asyncio.sleep(0.005)
        assert len(door.waiting) == 4
        answered = []
        while len(answered) < 12:
            await once(lambda: any(not future.done() for future in door.waiting))
            next(future for future in door.waiting if not future.done()).set_result(None)
            answered.append((await peer.allowed())[0])
        assert answered == list(range(12))

    run(use, house)


def test_draining_answers_what_was_asked() -> None:
    house, door = elsewhere()

    async def use(house: House) -> None:
        idle, busy = await house.connect(), await house.connect()
        busy.writer.write(question(1))
        await once(lambda: door.waiting)
        house.server.drain()
        assert await idle.reason() == 0
        door.waiting[0].set_result(None)
        assert await busy.allowed() == (1, True)
        assert await busy.reason() == 0
        late = await house.connect(vector("hello"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await late.frame()
        await once(lambda: not house.server.connections)

    assert run(use, house).counters.total("connections_refused") == 1


@pytest.mark.parametrize(("data", "counted"), [(vector("notify-http")[:-1], 1), (vector("notify-http"), 0)])
def test_who_is_slow_with_a_frame_is_closed_and_counted(data: bytes, counted: int) -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        peer.writer.write(data)
        if not counted:
            await peer.frame()
        await asyncio.sleep(0.05)
        (connection,) = house.server.connections
        begun = connection._begun
        house.server.sweep()
        assert house.server.connections
        connection.check(begun + sidecar.FRAME_S + 0.1)
        assert house.counters.total("slow_clients") == counted
        if not counted:
            connection.check(begun + sidecar.IDLE_S + 0.1)
            assert await peer.reason() == 0
        await once(lambda: not house.server.connections)

    run(use)


def test_the_end_of_a_frame_has_no_more_time_for_coming_in_drops() -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        (connection,) = house.server.connections
        begun = []
        for byte in question(1)[:6]:
            peer.writer.write(bytes((byte,)))
            await peer.writer.drain()
            await asyncio.sleep(0.01)
            begun.append(connection._begun)
        assert len(set(begun)) == 1

    run(use)


def test_connections_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "MAX_CONNECTIONS", 2)

    async def use(house: House) -> None:
        peers = [await house.connect() for _ in range(2)]
        third = await house.connect(vector("hello"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await third.frame()
        assert house.counters.total("connections_spoe") == len(peers)

    assert run(use).counters.total("connections_refused") == 1


def test_who_does_not_read_is_not_read_from() -> None:
    async def use(house: House) -> None:
        peer = await house.connect()
        (connection,) = house.server.connections
        assert connection._transport is not None
        connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        one = b"".join(question(number) for number in range(200))

        async def flood() -> None:
            while True:
                peer.writer.write(one)
                await peer.writer.drain()

        flooding = asyncio.create_task(flood())
        asked = -1
        while asked != house.counters.total("questions"):
            asked = house.counters.total("questions")
            await asyncio.sleep(0.1)
        assert connection._full and not flooding.done()
        assert connection._transport.get_write_buffer_size() < 1 << 20
        flooding.cancel()
        while connection._full:
            assert await peer.reader.read(65_536)

    run(use)
