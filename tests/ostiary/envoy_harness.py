"""A real gate fed by an engine that is only a feed, an application that tells what it got, and a real Envoy between."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ostiary.sidecar.feed import FeedServer, News
from policy.bundles import load_bundle
from policy.values import Decision
from risk.standing import Part, Standing
from risk.values import Level
from sensors.entities import Entity, EntityKind

ROOT = Path(__file__).parents[2]
GOOD, SUSPECT, ATTACKER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
RISKS = {GOOD: (0.05, Level.LOW), SUSPECT: (0.5, Level.ELEVATED), ATTACKER: (0.85, Level.HIGH)}


def until(holds: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"it never came about: {what}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def program(name: str) -> str:
    """Return where a real server is; skip, or fail in CI, where there is none."""
    found = shutil.which(name, path=f"{ROOT / '.tools' / 'bin'}:{os.environ.get('PATH', '')}:/usr/sbin")
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed: its configuration is NOT tested")
    return found


class Engine(threading.Thread):
    """Feeds the gates of a directory with risks, and takes their decisions."""

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self.directory = directory
        self.decisions: list[Decision] = []
        self._up, self._away = threading.Event(), threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        now = time.time_ns()
        standings = [
            Standing(now, Entity(EntityKind.IP, address), level, 1.0, (Part("scan.vertical", risk, 0.0, 1.0),))
            for address, (risk, level) in RISKS.items()
        ]

        async def snapshot(subscribe: Callable[[], None]) -> News:
            while self._away.is_set():
                await asyncio.sleep(0.02)
            subscribe()
            return News("m1", standings, whole=True)

        async def take(decisions: Sequence[Decision]) -> None:
            self.decisions.extend(decisions)

        self.feed = FeedServer(snapshot, take, lambda _count: None, load_bundle())
        self._up.set()
        await self.feed.serve(self.directory / "feed.sock", self._ending)

    def __enter__(self) -> "Engine":
        self.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self.join(10)

    def refuse(self) -> None:
        """Tell no gate anything more."""
        self._away.set()

    def accept(self) -> None:
        """Tell them everything."""
        self._away.clear()

    def record(self, decision: str) -> Decision:
        """The record of a decision, once the gate has handed it on."""

        def found() -> Decision | None:
            return next((one for one in self.decisions if one.id == decision), None)

        return until(found, f"the record of {decision}")


class Application(BaseHTTPRequestHandler):
    """Tells the request that it got; takes WebSockets, without speaking them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(b"through")
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = json.dumps({"path": self.path, "headers": headers, "body": body, "marker": "application"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


class House:
    """The running parts and how to ask them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.gate_port, self.admin_port = free_port(), free_port(), free_port()
        self.gate_socket, self.grpc_socket = folder / "gate.sock", folder / "grpc.sock"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.engine = Engine(folder / "state" / "gate")
        self.application: ThreadingHTTPServer
        self.settings = ""
        self.asks = ""

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
        return self.processes[name]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def start_gate(self, *, well: bool = True) -> None:
        (self.folder / "ostiary.toml").write_text(self.settings)
        before = self.log("gate").count("answers on") if (self.folder / "gate.log").exists() else 0
        gate = self.start("gate", sys.executable, "-m", "ostiary", "gate", "--config", f"{self.folder}/ostiary.toml")
        until(lambda: gate.poll() is not None or self.log("gate").count("answers on") > before, "the gate")
        assert gate.poll() is None, self.log("gate")
        if well:
            until(self.gate_is_well, "decisions of the gate")

    def gate_is_well(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(1)
                asked.connect(str(self.gate_socket))
                asked.sendall(b"GET /health HTTP/1.1\r\nhost: gate\r\n\r\n")
                answer = asked.recv(65_536)
            return b" 200 " in answer[:20] and b'"risks_age_s": null' not in answer
        except OSError:
            return False

    def workers(self) -> list[int]:
        """The processes that answer."""
        children = Path(f"/proc/{self.processes['gate'].pid}/task/{self.processes['gate'].pid}/children").read_text()
        return [int(child) for child in children.split()]

    def stop_gate(self) -> None:
        """Kill all of it, as power does."""
        workers, gate = self.workers(), self.processes.pop("gate")
        gate.kill()
        gate.wait(10)
        for worker in workers:  # PR_SET_PDEATHSIG ends them
            until(lambda worker=worker: not Path(f"/proc/{worker}/fd").exists() or _ended(worker), "the worker's end")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the gate's clocks."""
        frozen = [self.processes["gate"].pid, *self.workers()]
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(frozen):
                os.kill(process, signal.SIGCONT)

    def start_envoy(self, shipped: Path, replaced: dict[str, str]) -> None:
        """Start Envoy by a configuration that we ship, with our addresses in place of the shipped ones."""
        text = shipped.read_text()
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / "envoy.yaml").write_text(text)
        envoy = self.start(
            "envoy", program("envoy"), "-c", f"{self.folder}/envoy.yaml", "--concurrency", "1",
            "--use-dynamic-base-id", "-l", "warning",
        )  # fmt: skip

        def ready() -> bool:
            assert envoy.poll() is None, self.log("envoy")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(ready, "Envoy")

    def get(
        self, path: str, source: str = GOOD, headers: dict[str, str] | None = None, method: str = "GET", body: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 10, source_address=(source, 0))
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def told(self, *arguments: Any, **named: Any) -> dict[str, str]:
        """The headers that the application got, names in lower case."""
        status, _, body = self.get(*arguments, **named)
        assert status == 200, (status, body)
        found = json.loads(body)
        assert found["marker"] == "application"
        return dict(found["headers"])

    def counted(self, name: str) -> float:
        """A number of the gate's metrics."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self.gate_socket))
            asked.sendall(b"GET /metrics HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n")
            text = b"".join(iter(lambda: asked.recv(65_536), b"")).decode()
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)", text, re.MULTILINE))


def _ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@contextmanager
def house(folder: Path, settings: str) -> Iterator[House]:
    """Run an application, an engine's feed and a gate; end everything afterwards."""
    built = House(folder)
    built.application = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    thread = threading.Thread(target=built.application.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    built.settings = f"""
state_dir = "{folder}/state"
[gate]
listen = "unix:{built.gate_socket}"
{settings}
"""
    try:
        with built.engine:
            built.start_gate()
            yield built
            _end(built)
    finally:
        _end(built)
        built.application.shutdown()
        built.application.server_close()
        thread.join()


def _end(built: House) -> None:
    for name in ("envoy", "gate"):
        process = built.processes.pop(name, None)
        if process is None:
            continue
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
