"""The gate's gRPC side: in a process of its own as it is run, and alone with a door that takes its time."""

import asyncio
import os
import re
import signal
import socket
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from grpc_health.v1 import health_pb2

from ostiary.errors import MissingExtraError
from ostiary.listening import ListenError
from ostiary.settings import GateSettings
from ostiary.sidecar import grpc as gate_grpc
from ostiary.sidecar import grpc_address
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Routes
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


def status(address: str, name: str = "192.0.2.7") -> int:
    """Return the HTTP status that a client is to get, 200 where it is let through."""
    with connected(address) as call:
        answer = CheckResponse.FromString(call(question(name)))
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
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def listening(port: int) -> int:
    """Return how many sockets listen on a port (proc(5), /proc/net/tcp; 0A is TCP_LISTEN)."""
    tables = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return len(re.findall(rf"[0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A ", tables))


def test_it_answers_on_a_unix_socket(fed_gate: Make, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    gate = fed_gate(f'mode = "enforce"\ngrpc = "{address}"\n', RISKS)
    assert stat.S_IMODE((tmp_path / "grpc.sock").stat().st_mode) == 0o660
    assert (status(address), status(address, "192.0.2.66")) == (200, 403)
    assert health(address) == SERVING
    assert failure(address, b"\xff\xff") == (grpc.StatusCode.UNAVAILABLE, "gateway.message")
    assert failure(address, question(path="/a%2fb")) == (grpc.StatusCode.UNAVAILABLE, "gateway.path")
    assert failure(address, b"x" * (gate_grpc.MAX_MESSAGE + 1))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
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
    assert until(lambda: status(address, "192.0.2.66"), "an answer") == 403


def test_processes_share_a_port(fed_gate: Make) -> None:
    port = free_port()
    gate = fed_gate(f'mode = "enforce"\nprocesses = 2\ngrpc = "127.0.0.1:{port}"\n', RISKS)
    assert listening(port) == 2
    for _ in range(8):
        assert status(f"127.0.0.1:{port}", "192.0.2.66") == 403
    assert gate.stop() == 0


def test_each_process_has_a_unix_socket_of_its_own(fed_gate: Make, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    gate = fed_gate(f'mode = "enforce"\nprocesses = 2\ngrpc = "{address}"\n', RISKS)
    assert [status(name, "192.0.2.66") for name in (address, f"{address}.1")] == [403, 403]
    assert gate.stop() == 0
    assert list(tmp_path.glob("grpc.sock*")) == []


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


def test_an_address_that_somebody_has_is_an_error_at_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as path:
        path.bind(f"{tmp_path}/grpc.sock.1")
        path.listen()
        for taken in (f"127.0.0.1:{port.getsockname()[1]}", f"unix:{tmp_path}/grpc.sock", "192.0.2.1:8772"):
            with pytest.raises(ListenError), grpc_address.reserved(taken, 2):
                pass


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"ostiary\[grpc\]"), grpc_address.reserved("127.0.0.1:8772", 1):
        pass
    with grpc_address.reserved("", 1):
        pass  # nobody wants it


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
    await server.start(f"unix:{folder}/grpc.sock")
    async with grpc.aio.insecure_channel(f"unix:{folder}/grpc.sock") as channel:
        yield door, server, channel.unary_unary(CHECK)
        await server.stop(0)


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


def test_a_call_that_comes_too_late_is_not_decided(tmp_path: Path) -> None:
    class Late:
        aborted: grpc.StatusCode | None = None

        def time_remaining(self) -> float:
            return 0.0

        async def abort(self, code: grpc.StatusCode, _text: str) -> None:
            self.aborted = code
            raise asyncio.CancelledError

    async def check() -> None:
        async with slow(tmp_path) as (door, server, _call):
            context = Late()
            with pytest.raises(asyncio.CancelledError):
                await server._check(question(), context)
            assert (context.aborted, door.asked) == (grpc.StatusCode.DEADLINE_EXCEEDED, 0)
            assert door.counters.total("shed") == 1

    asyncio.run(check())


def test_so_many_calls_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_grpc, "MAX_CALLS", 2)

    async def check() -> None:
        async with slow(tmp_path) as (door, _server, call):
            under_way = [call(question(), timeout=10) for _ in range(2)]
            await asked(door, 2)
            assert await code_of(call(question(), timeout=10)) is grpc.StatusCode.RESOURCE_EXHAUSTED
            door.go.set()
            assert all([await one for one in under_way])

    asyncio.run(check())


def test_calls_under_way_are_answered_before_it_ends(tmp_path: Path) -> None:
    async def check() -> None:
        async with slow(tmp_path) as (door, server, call):
            under_way = call(question(), timeout=10)
            await asked(door, 1)
            ending = asyncio.create_task(server.stop(10))
            await asyncio.sleep(0.05)
            assert await code_of(call(question(), timeout=1)) in (
                grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
            )  # fmt: skip
            assert not ending.done()
            door.go.set()
            assert CheckResponse.FromString(await under_way).HasField("ok_response")
            await ending

    asyncio.run(check())
