"""The gate's gRPC side: in a process of its own as it is run, and alone with a door that takes its time."""

import asyncio
import os
import secrets
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from ostiary.errors import MissingExtraError
from ostiary.settings import GateSettings
from ostiary.sidecar import grpc as gate_grpc
from ostiary.sidecar import http2, process
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Routes
from policy.gateways.envoy_messages import CheckRequest, CheckResponse
from policy.gateways.values import Question, Ruling
from policy.identity import Identities

CHECK, HEALTH = "/envoy.service.auth.v3.Authorization/Check", "/grpc.health.v1.Health/Check"
RISKS = {"192.0.2.7": 0.05, "192.0.2.66": 0.85}
SERVING, NOT_SERVING = 1, 2
Make = Callable[..., Any]


def question(address: str = "192.0.2.7", path: str = "/") -> bytes:
    request = CheckRequest()
    request.attributes.source.address.socket_address.address = address
    request.attributes.request.http.method = "GET"
    request.attributes.request.http.host = "shop.example"
    request.attributes.request.http.path = path
    return bytes(request.SerializeToString())


@contextmanager
def connected(address: str) -> Iterator[Callable[..., bytes]]:
    """A new connection, on which one can call."""
    channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])

    def call(message: bytes, method: str = CHECK) -> bytes:
        return bytes(channel.unary_unary(method)(message, timeout=10))

    with channel:
        yield call


def status(address: str, name: str = "192.0.2.7", path: str = "/") -> int:
    """Return the HTTP status that a client is to get, 200 where it is let through."""
    with connected(address) as call:
        answer = CheckResponse.FromString(call(question(name, path)))
        return int(answer.denied_response.status.code) if answer.HasField("denied_response") else 200


def failure(address: str, message: bytes, method: str = CHECK) -> tuple[grpc.StatusCode, str]:
    with connected(address) as call, pytest.raises(grpc.RpcError) as raised:
        call(message, method)
    return raised.value.code(), raised.value.details()


def health(address: str) -> int:
    with connected(address) as call:
        return int(health_pb2.HealthCheckResponse.FromString(call(b"", HEALTH)).status)


def until(holds: Callable[[], object], what: str, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := holds():
                return found
        except grpc.RpcError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"it never came about: {what}")


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


def test_it_answers_on_a_unix_socket(fed_gate: Make, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    gate = fed_gate(f'mode = "enforce"\ngrpc = "{address}"\n', RISKS)
    assert stat.S_IMODE((tmp_path / "grpc.sock").stat().st_mode) == 0o660
    assert (status(address), status(address, "192.0.2.66")) == (200, 403)
    assert health(address) == SERVING
    with connected(address) as call:
        assert CheckResponse.FromString(call(b"\xff\xff")).denied_response.status.code == 400
    assert status(address, path="/a%2fb") == 400
    assert failure(address, b"x" * (http2.MAX_MESSAGE + 1))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure(address, b"", "/envoy.service.auth.v3.Authorization/Other")[0] is grpc.StatusCode.UNIMPLEMENTED
    page = gate.page("/metrics")[1]
    assert 'ostiary_gate_questions_total{gateway="envoy-grpc"} 4.0' in page
    assert 'ostiary_gate_undecided_total{code="gateway"} 2.0' in page
    assert gate.stop() == 0
    assert not (tmp_path / "grpc.sock").exists()


def test_a_process_that_is_killed_answers_again_at_the_same_place(fed_gate: Make, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    gate = fed_gate(f'mode = "enforce"\ngrpc = "{address}"\n', RISKS)
    (before,) = gate.workers()
    os.kill(before, signal.SIGKILL)
    until(lambda: before not in gate.workers() and gate.workers(), "another process")
    until(lambda: status(address, "192.0.2.66") == 403, "that the attacker is refused again")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_processes_share_an_address(fed_gate: Make, tmp_path: Path, kind: str) -> None:
    address = f"127.0.0.1:{free_port()}" if kind == "tcp" else f"unix:{tmp_path}/grpc.sock"
    gate = fed_gate(f'mode = "enforce"\nprocesses = 2\ngrpc = "{address}"\n', RISKS)
    stopped, going = gate.workers()
    os.kill(stopped, signal.SIGSTOP)  # what it does not take the other does
    try:
        assert status(address, "192.0.2.66") == 403
    finally:
        os.kill(stopped, signal.SIGCONT)
    os.kill(going, signal.SIGKILL)
    until(lambda: status(address, "192.0.2.66") == 403, "that the attacker is refused again")
    assert gate.stop() == 0


def test_without_an_engine_it_tells_that_it_cannot_decide(fed_gate: Make, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    gate = fed_gate(
        f'mode = "enforce"\ngrpc = "{address}"\n[gate.routes."/open"]\nfailure = "open"\n', RISKS, start=False
    )
    gate.start(ready=False)
    until(lambda: "answers on" in gate.log(), "an answering gate")
    assert health(address) == NOT_SERVING
    assert failure(address, question()) == (grpc.StatusCode.UNAVAILABLE, "policy.unavailable")
    with connected(address) as call:
        answer = CheckResponse.FromString(call(question(path="/open")))
    assert [one.header.value for one in answer.ok_response.headers] == ["policy.unavailable"]
    gate.start_feed()
    until(lambda: status(address) == 200, "a decision")
    assert health(address) == SERVING


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ostiary.sidecar.grpc", None)
    monkeypatch.delattr("ostiary.sidecar.grpc", raising=False)
    with pytest.raises(MissingExtraError, match=r"ostiary\[grpc\]"):
        process._grpc()


class Slow(Door):
    """A door whose decisions come from elsewhere and take as long as the test wants."""

    waits = True  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(Routes(GateSettings(), "closed"), Mirror(), Identities(), lambda _: None, Counters())
        self.go, self.asked, self.ended = asyncio.Event(), 0, 0

    async def rule_async(self, _question: Question, _now: int) -> Ruling:
        self.asked += 1
        try:
            await self.go.wait()
        finally:
            self.ended += 1
        return Ruling(True, None, "gate.internal")


@asynccontextmanager
async def slow(folder: Path) -> AsyncIterator[tuple[Slow, gate_grpc.Server, Any]]:
    """A server with a slow door, and what calls it: (message, timeout)."""
    door = Slow()
    server = gate_grpc.Server(door)
    listening = await asyncio.get_running_loop().create_unix_server(server, folder / "grpc.sock")
    async with grpc.aio.insecure_channel(f"unix:{folder}/grpc.sock") as channel, listening:
        yield door, server, channel.unary_unary(CHECK)
        server.drain()
        door.go.set()
        async with asyncio.timeout(10):
            while server.connections:
                await asyncio.sleep(0.005)


async def asked(door: Slow, count: int) -> None:
    async with asyncio.timeout(10):
        while door.asked < count:
            await asyncio.sleep(0.005)


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code()


def test_nobody_waits_beyond_the_deadline(tmp_path: Path) -> None:
    async def check() -> None:
        async with slow(tmp_path) as (door, _server, call):
            assert await code_of(call(question(), timeout=0.05)) is grpc.StatusCode.DEADLINE_EXCEEDED
            async with asyncio.timeout(10):
                while not door.ended:  # nor does the gate go on with it
                    await asyncio.sleep(0.005)

    asyncio.run(check())


def test_a_call_that_is_dropped_is_not_gone_on_with(tmp_path: Path) -> None:
    async def check() -> None:
        async with slow(tmp_path) as (door, _server, call):
            under_way = call(question(), timeout=60)
            await asked(door, 1)
            under_way.cancel()
            async with asyncio.timeout(10):
                while not door.ended:
                    await asyncio.sleep(0.005)

    asyncio.run(check())


def test_so_many_connections_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_grpc, "MAX_CONNECTIONS", 1)

    async def check() -> None:
        async with slow(tmp_path) as (door, server, call):
            under_way = call(question(), timeout=10)
            await asked(door, 1)
            reader, writer = await asyncio.open_unix_connection(tmp_path / "grpc.sock")
            assert await reader.read() == b""
            writer.close()
            assert (len(server.connections), door.counters.total("connections_refused")) == (1, 1)
            door.go.set()
            assert await under_way

    asyncio.run(check())


def test_the_silent_and_the_slow_are_closed(tmp_path: Path) -> None:
    async def check() -> None:
        async with slow(tmp_path) as (door, server, _call):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "grpc.sock")
            await reader.readexactly(9)  # it is greeted
            (connection,) = server.connections
            connection.check(time.monotonic() + gate_grpc.SLOW_S - 1)
            assert door.counters.total("slow_clients") == 0
            connection.check(time.monotonic() + gate_grpc.SLOW_S + 1)  # it never greeted us
            await reader.read()
            assert (len(server.connections), door.counters.total("slow_clients")) == (0, 1)
            writer.close()

    asyncio.run(check())


def test_what_is_no_grpc_is_counted_and_closed(tmp_path: Path) -> None:
    async def check() -> None:
        async with slow(tmp_path) as (door, server, _call):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "grpc.sock")
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.read())[-4:] == b"\0\0\0\x01"  # GOAWAY, PROTOCOL_ERROR
            writer.close()
            assert (len(server.connections), door.counters.total("bad_http")) == (0, 1)

    asyncio.run(check())


def test_calls_under_way_are_answered_before_it_ends(tmp_path: Path) -> None:
    async def check() -> None:
        async with slow(tmp_path) as (door, server, call):
            under_way = call(question(), timeout=10)
            await asked(door, 1)
            server.drain()
            await asyncio.sleep(0.05)
            assert await code_of(call(question(), timeout=1)) in (
                grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
            )  # fmt: skip
            assert (len(server.connections), door.asked) == (1, 1)
            door.go.set()
            assert CheckResponse.FromString(await under_way).HasField("ok_response")
            await asyncio.sleep(0.05)
            assert not server.connections

    asyncio.run(check())
