"""The server on real sockets: where it may listen, how it starts and how it stops."""

import asyncio
import datetime
import ipaddress
import signal
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ostiary.api.errors import ListenError
from ostiary.api.server import Tls, serve
from ostiary.listening import TcpAddress, UnixAddress, bind, check_listen

TLS = Tls(Path("c.pem"), Path("k.pem"))
DEADLINE_S = 20


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8770", TcpAddress("127.0.0.1", 8770)),
        ("127.9.9.9:1", TcpAddress("127.9.9.9", 1)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:8770", TcpAddress("::1", 8770)),
        ("unix:/run/ostiary/api.sock", UnixAddress(Path("/run/ostiary/api.sock"))),
    ],
)
def test_unix_and_loopback_need_no_tls(listen: str, address: object) -> None:
    assert check_listen(listen) == address
    assert check_listen(listen, tls=True) == address


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8770", "[::]:8770", "192.0.2.1:8770", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:1"]
)
def test_other_addresses_need_tls(listen: str) -> None:
    with pytest.raises(ListenError, match="TLS"):
        check_listen(listen)
    assert isinstance(check_listen(listen, tls=True), TcpAddress)


@pytest.mark.parametrize(
    "listen",
    ["", ":", "8770", ":8770", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
     "127.0.0.1:٣", "::1:8770", "example.org:8770", "localhost.evil.example:1", "127.1:80", "unix:", "unix:relative",
     "unix:/a\0b",
     "unix:/" + "a" * 200, "0177.0.0.1:80", "unix", "http://127.0.0.1:80"],
)  # fmt: skip
def test_what_is_no_address_is_refused(listen: str) -> None:
    for tls in (False, True):
        with pytest.raises(ListenError):
            check_listen(listen, tls=tls)


async def during(app: Any, listen: str, work: Callable[[], Awaitable[Any]], tls: Tls | None = None) -> Any:
    """Serve while `work` is done."""
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve(app, listen, tls, ready=ready, stop=stop))
    waiting = asyncio.create_task(ready.wait())
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if serving.done():
            await serving
        try:
            return await work()
        finally:
            stop.set()
            await serving


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_unix_socket_is_for_owner_and_group_and_gone_afterwards(world: Any, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"

    async def work() -> httpx.Response:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with pytest.raises(ListenError, match="in use"):
            bind(UnixAddress(path))
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
            assert (await client.get("http://ostiary/health")).json() == {"status": "ok"}
            headers = {"Authorization": f"Bearer {world.secrets['viewer']}"}
            return await client.get("http://ostiary/entities", headers=headers)

    reply = asyncio.run(during(world.app(), f"unix:{path}", work))
    assert len(reply.json()["items"]) == 2
    assert "server" not in reply.headers
    assert not path.exists()


def test_the_socket_of_a_dead_process_is_replaced_and_another_file_is_not(world: Any, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    bind(UnixAddress(path)).close()
    path.unlink()
    path.write_text("mine")
    with pytest.raises(ListenError, match="no socket"):
        asyncio.run(during(world.app(), f"unix:{path}", lambda: asyncio.sleep(0)))
    assert path.read_text() == "mine"


def test_a_port_that_is_taken_is_typed(world: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenError, match="in use"):
            asyncio.run(during(world.app(), f"127.0.0.1:{taken.getsockname()[1]}", lambda: asyncio.sleep(0)))


def test_the_servers_signals_are_left_to_their_owner(world: Any, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def work() -> object:
        return signal.getsignal(signal.SIGTERM)

    assert asyncio.run(during(world.app(), f"unix:{tmp_path}/s", work)) == before


def test_stopping_finishes_the_request_under_way(make_world: Any, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"

    async def scenario() -> httpx.Response:
        ready, stop = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow_health() -> dict[str, Any]:
            loop.call_soon_threadsafe(stop.set)
            asyncio.run(asyncio.sleep(0.3))
            return {"status": "ok"}

        from ostiary.api.app import create_app

        app = create_app(make_world.store, make_world.tokens, slow_health)
        serving = asyncio.create_task(serve(app, f"unix:{path}", ready=ready, stop=stop))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
                reply = await client.get("http://ostiary/health")
            await serving
            return reply

    assert asyncio.run(scenario()).json() == {"status": "ok"}


def certificate(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ostiary test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (folder / "c.pem").write_bytes(made.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "k.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return Tls(folder / "c.pem", folder / "k.pem")


def test_tls_is_spoken_with_the_given_certificate(world: Any, tmp_path: Path) -> None:
    tls, port = certificate(tmp_path), free_port()
    trust = ssl.create_default_context(cafile=str(tls.certificate))

    async def work() -> httpx.Response:
        async with httpx.AsyncClient(verify=trust) as client:
            return await client.get(f"https://127.0.0.1:{port}/health")

    reply = asyncio.run(during(world.app(), f"127.0.0.1:{port}", work, tls))
    assert reply.json() == {"status": "ok"}
    assert reply.headers["strict-transport-security"]


def test_a_certificate_that_cannot_be_used_is_typed(world: Any, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nonsense")
    for tls in (Tls(tmp_path / "c.pem", tmp_path / "c.pem"), Tls(tmp_path / "none", tmp_path / "none")):
        with pytest.raises(ListenError, match="certificate"):
            asyncio.run(during(world.app(), "127.0.0.1:0", lambda: asyncio.sleep(0), tls))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x00\xa5", b"GET\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"\x00" * 100,
        b"POST /entities/x/reveal HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET /%zz%ff/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)  # fmt: skip
def test_raw_nonsense_does_not_stop_the_server(world: Any, tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "api.sock"

    async def work() -> tuple[bytes, int]:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(raw)
        writer.write_eof()
        said = await reader.read(65536)
        writer.close()
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
            return said, (await client.get("http://ostiary/health")).status_code

    said, status = asyncio.run(during(world.app(), f"unix:{path}", work))
    assert status == 200
    assert b"Traceback" not in said and b" 500 " not in said
