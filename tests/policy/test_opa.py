"""The OPA engine: serves our bundle or nothing, and each way of going wrong is typed."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import SHIPPED, load_bundle
from policy.engines.opa import OpaEngine
from policy.engines.opa_link import OpaServer
from policy.errors import AnswerError, EngineUnavailableError, EvaluationError, PolicyError, RevisionError

ROOT = Path(__file__).parents[2]


class Server(ThreadingHTTPServer):
    """An OPA in memory that serves our bundle, and then answers decisions with whatever the test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bundle = load_bundle()
        self.answer: tuple[int, bytes] = (200, b'{"result": {"verdict": "allow"}, "provenance": 1}')
        self.hold = threading.Event()
        self.hold.set()
        self.dribble = False
        self.together: threading.Barrier | None = None
        self.clients: list[socket.socket] = []

    def drop(self) -> None:
        """Cut the connections that are open."""
        for client in self.clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.clients.append(self.connection)

    def do_GET(self) -> None:
        path = self.path.removeprefix("/v1/")
        if path == "policies":
            value: Any = [{"id": name} for name in self.server.bundle.modules]
        elif path.startswith("policies/"):
            value = {"raw": self.server.bundle.modules[path.removeprefix("policies/")]}
        else:
            value = self.server.bundle.data["ostiary"][path.rsplit("/", 1)[1]]
        self._send(200, json.dumps({"result": value}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.hold.wait(10)
        if self.server.together:
            self.server.together.wait()
        if self.server.dribble:
            self._dribble()
        else:
            self._send(*self.server.answer)

    def _dribble(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.02)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def connected(timeout_s: float = 0.2) -> Iterator[tuple[Server, OpaEngine]]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    engine = OpaEngine(OpaServer(server.url), server.bundle, timeout_s)
    try:
        yield server, engine
    finally:
        server.hold.set()
        engine.close()
        server.shutdown()
        server.server_close()
        server.drop()
        thread.join()


def test_a_good_answer() -> None:
    with connected() as (_, engine):
        assert engine.evaluate({}) == {"verdict": "allow"}
        assert engine.revision == load_bundle().revision


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", AnswerError),
        (200, b"", AnswerError),
        (200, b"[]", AnswerError),
        (200, b"null", AnswerError),
        (200, b'{"result": [1], "provenance": 1}', AnswerError),
        (200, b'{"result": "allow", "provenance": 1}', AnswerError),
        (200, b'{"provenance": 1}', EvaluationError),
        (200, b"[" * 100_000, AnswerError),
        (200, b"\xff\xfe", AnswerError),
        (200, b'{"result": {}, "provenance": 2}', RevisionError),
        (200, b'{"result": {}}', RevisionError),
        (500, b'{"code": "internal_error"}', EvaluationError),
        (404, b"", EvaluationError),
        (302, b"", PolicyError),
    ],
)
def test_nonsense_is_an_error(status: int, body: bytes, error: type[PolicyError]) -> None:
    with connected() as (server, engine):
        server.answer = (status, body)
        with pytest.raises(error):
            engine.evaluate({})
        server.answer = (200, b'{"result": {"verdict": "deny"}, "provenance": 1}')
        assert engine.evaluate({}) == {"verdict": "deny"}


def test_a_slow_opa_is_unavailable() -> None:
    with connected() as (server, engine):
        server.hold.clear()
        with pytest.raises(EngineUnavailableError):
            engine.evaluate({})


def test_an_opa_that_is_gone_is_unavailable() -> None:
    with connected() as (server, engine):
        server.shutdown()
        server.server_close()
        server.drop()
        with pytest.raises(EngineUnavailableError):
            engine.evaluate({})
    with pytest.raises(EngineUnavailableError):
        engine.evaluate({})


def test_an_answer_that_dribbles_is_given_up() -> None:
    with connected() as (server, engine):
        server.dribble = True
        with pytest.raises(EngineUnavailableError):
            engine.evaluate({})


def test_connections_are_used_again() -> None:
    with connected() as (server, engine):
        for _ in range(20):
            engine.evaluate({})
        assert len(server.clients) == 1


def test_many_questions_at_once_hold_up_nobody() -> None:
    async def ask(engine: OpaEngine) -> list[Any]:
        return await asyncio.gather(*(engine.evaluate_async({}) for _ in range(8)))

    with connected(timeout_s=30) as (server, engine):
        server.together = threading.Barrier(8, timeout=20)  # each is answered only once all have been asked
        assert asyncio.run(ask(engine)) == [{"verdict": "allow"}] * 8


@pytest.mark.parametrize("url", ["", "opa", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(EngineUnavailableError):
        OpaEngine(OpaServer(url), load_bundle())


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EngineUnavailableError):
        OpaEngine(OpaServer(f"http://127.0.0.1:{port}"), load_bundle())


@pytest.mark.server
def test_another_policy_is_refused(serve_opa: Callable[..., str], lively_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(RevisionError):
        OpaEngine(OpaServer(serve_opa("-b", str(lively_bundle))), load_bundle(), timeout_s=10)
    laxer = Path(shutil.copytree(SHIPPED, tmp_path / "rego"))
    (laxer / "risk.rego").write_text((laxer / "risk.rego").read_text() + "\n# one more line\n")
    with pytest.raises(RevisionError):
        OpaEngine(OpaServer(serve_opa("-b", str(laxer))), load_bundle(), timeout_s=10)
    with pytest.raises(PolicyError):
        OpaEngine(OpaServer(serve_opa()), load_bundle(), timeout_s=10)


@pytest.mark.server
def test_the_deployed_configuration(opa: str, serve_opa: Callable[..., str], tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    build_script = ROOT / "deploy" / "opa" / "build"
    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", str(build_script), str(bundle), opa], check=True, capture_output=True, cwd=ROOT, env=path)
    url = serve_opa(
        "--config-file", str(ROOT / "deploy" / "opa" / "opa.yaml"), environment={"OSTIARY_BUNDLE": str(bundle)}
    )
    engine = OpaEngine(OpaServer(url), load_bundle(), timeout_s=10)
    assert engine.evaluate({})["verdict"] == "deny"
    assert load_bundle().revision in str(engine._provenance)
    engine.close()


@pytest.mark.server
def test_over_a_unix_socket(start_opa: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "opa.sock"
    start_opa("-a", f"unix://{path}", "-b", str(SHIPPED), ready=path.exists)
    engine = OpaEngine(OpaServer(f"unix:{path}"), load_bundle(), timeout_s=10)
    assert engine.evaluate({})["verdict"] == "deny"
    engine.close()


@pytest.mark.server
def test_over_tls_with_a_token(
    start_opa: Callable[..., None], make_certificate: Callable[[Path], None], tmp_path: Path, free_port: int
) -> None:
    make_certificate(tmp_path)
    authz = tmp_path / "authz.rego"
    authz.write_text('package system.authz\n\ndefault allow := false\n\nallow if input.identity == "secret"\n')
    served = Path(shutil.copytree(SHIPPED, tmp_path / "served"))
    token = tmp_path / "token"
    token.write_text("secret\n")
    start_opa(
        "-a", f"127.0.0.1:{free_port}", "--tls-cert-file", str(tmp_path / "cert.pem"), "--tls-private-key-file",
        str(tmp_path / "key.pem"), "--authentication=token", "--authorization=basic", str(served), str(authz),
        ready=lambda: listens(free_port),
    )  # fmt: skip
    url = f"https://localhost:{free_port}"
    engine = OpaEngine(OpaServer(url, str(tmp_path / "cert.pem"), str(token)), load_bundle(), timeout_s=10)
    assert engine.evaluate({})["verdict"] == "deny"
    engine.close()
    with pytest.raises(EngineUnavailableError, match="certificate"):
        OpaEngine(OpaServer(url, "", str(token)), load_bundle(), timeout_s=10)
    with pytest.raises(EvaluationError):
        OpaEngine(OpaServer(url, str(tmp_path / "cert.pem")), load_bundle(), timeout_s=10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"a\nb"])
def test_a_token_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    with pytest.raises(EngineUnavailableError):
        OpaEngine(OpaServer("http://127.0.0.1:1", "", str(token)), load_bundle())


def test_an_authority_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(EngineUnavailableError):
        OpaEngine(OpaServer("https://127.0.0.1:1", str(tmp_path / "ca.pem")), load_bundle())
