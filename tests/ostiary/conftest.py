"""A real gate, fed by this process instead of an engine."""

import asyncio
import gc
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ostiary.gateways import configuration
from ostiary.sidecar.feed import FeedServer, News
from policy.bundles import Bundle, load_bundle
from policy.values import Decision
from risk.standing import Part, Standing
from risk.values import Level
from sensors.values import Entity, EntityKind

MODEL = "m1"


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> Any:
    """Return what is found once it is; fail where it never comes about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"it never came about: {what}")


def standing(address: str, risk: float) -> Standing:
    """Return what makes an address as risky for a long while; 0: nothing speaks against it."""
    parts = (Part("scan.vertical", risk, 1e9, 1.0),) if risk else ()
    return Standing(time.time_ns(), Entity(EntityKind.IP, address), Level.LOW, 1.0, parts)


class FedGate:
    """`ostiary gate` in a folder, and the engine's end of its feed in a thread of ours."""

    def __init__(self, folder: Path, gate: str = "", risks: Mapping[str, float] | None = None, **more: str) -> None:
        """`gate` are lines of `[gate]`, `more` those of other sections."""
        self.folder, self.port = folder, free_port()
        self.risks = dict(risks or {})
        self.taken: list[Decision] = []
        self.lost = 0
        self.closing: list[tuple[str, str]] = []
        """(address, decision) of those whose connections are to end."""
        self.process: subprocess.Popen[bytes] | None = None
        self.configure(gate, **more)
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.feed: FeedServer | None = None

    def configure(self, gate: str = "", **more: str) -> None:
        """Write the settings."""
        listen = "" if "listen =" in gate else f'listen = "127.0.0.1:{self.port}"\n'
        slow = "" if "overload_s" in gate else "overload_s = 10\n"  # a machine that is busy with tests sheds nothing
        sections = {"gate": f'directory = "{self.folder}/gate"\n{listen}{slow}{gate}', **more}
        text = "".join(f"[{name}]\n{lines}\n" for name, lines in sections.items())
        (self.folder / "ostiary.toml").write_text(f'state_dir = "{self.folder}/state"\n{text}')

    def start_feed(self, bundle: Bundle | None = None) -> None:
        """Begin to be the engine."""
        gc.collect()  # engines that other tests left have to be dropped by the thread that made them, not by the next
        began = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._be_engine(bundle or load_bundle(), began)))
        self._thread.start()
        assert began.wait(10)

    def stop_feed(self) -> None:
        """Stop being the engine."""
        if self._thread is not None:
            assert self._loop is not None and self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._thread = self.feed = None

    def start(self, *, ready: bool = True) -> None:
        """Start the gate, and wait until it answers by what it was told."""
        command = [sys.executable, "-m", "ostiary", "gate", "--config", str(self.folder / "ostiary.toml")]
        if ready and self.feed:
            until(lambda: self.feed and not self.feed.heard, "that the one before is gone")
            self.feed.ready.clear()
        with (self.folder / "gate.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        if ready:
            until(lambda: (self.feed and self.feed.ready.is_set()) or self.process.poll() is not None, "ready")  # type: ignore[union-attr]
            assert self.process.poll() is None, self.log()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the gate and return its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        left = workers.read_text().split() if workers.exists() else []
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        code = process.wait(30)
        until(lambda: not any(_runs(worker) for worker in left), "the end of its processes, which answer till then")
        return code

    def log(self) -> str:
        return (self.folder / "gate.log").read_text()

    def tell(self, risks: Mapping[str, float], *, whole: bool = False) -> None:
        """Say of addresses how risky they are."""
        self.risks.update(risks)
        assert self.feed is not None
        told = self.risks if whole else risks
        self.feed.publish(News(MODEL, [standing(name, risk) for name, risk in told.items()], whole))

    def use(self, bundle: Bundle) -> None:
        """Hand another bundle on."""
        assert self._loop is not None and self.feed is not None
        self._loop.call_soon_threadsafe(self.feed.use, bundle)

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def ask(self, address: str = "192.0.2.7", route: str = "/", method: str = "GET") -> tuple[int, dict[str, str]]:
        """Ask as nginx does; return status and headers."""
        headers = {"X-Real-IP": address, "X-Original-Method": method, "X-Ostiary-Route": route}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/auth-request", headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    async def _be_engine(self, bundle: Bundle, began: threading.Event) -> None:
        async def snapshot(between: Callable[[], None]) -> News:
            between()
            return News(MODEL, [standing(name, risk) for name, risk in self.risks.items()], whole=True)

        async def take(decisions: Sequence[Decision]) -> None:
            self.taken += decisions

        def lost(count: int) -> None:
            self.lost += count

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

        async def close(who: Sequence[tuple[Entity, str]]) -> int:
            self.closing += [(entity.id, decision) for entity, decision in who]
            return len(who)

        self.feed = FeedServer(snapshot, take, lost, bundle, close)
        serving = asyncio.create_task(self.feed.serve(self.folder / "gate" / "feed.sock", self._stop))
        while not (self.folder / "gate" / "feed.sock").exists():
            assert not serving.done(), serving.exception()
            await asyncio.sleep(0.01)
        began.set()
        await serving


def _runs(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def make_fed_gate() -> type[FedGate]:
    """Return `FedGate`, for fixtures that keep one for longer than a test."""
    return FedGate


@pytest.fixture
def fed_gate(tmp_path: Path) -> Iterator[Callable[..., FedGate]]:
    """Return what makes a gate, fed and started."""
    made: list[FedGate] = []

    def make(gate: str = "", risks: Mapping[str, float] | None = None, *, start: bool = True, **more: str) -> FedGate:
        house = FedGate(tmp_path, gate, risks, **more)
        made.append(house)
        if start:
            house.start_feed()
            house.start()
        return house

    yield make
    for house in made:
        house.stop()
        house.stop_feed()


ROOT = Path(__file__).parents[2]
NGINX = """
daemon off; {user} pid {folder}/nginx.pid; error_log {folder}/nginx.log notice; worker_processes 1;
events {{}}
http {{
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    include {folder}/nginx/ostiary.conf;
}}
"""


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{ROOT / '.tools' / 'bin'}:/usr/sbin")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed: that all gateways agree is NOT tested")


def _command(way: str, folder: Path, asks: dict[str, str], application: str, port: int) -> list[str]:
    """Write a gateway's configuration and return what starts it."""
    gate = asks["grpc" if way == "envoy-grpc" else "spoe" if way == "haproxy" else "listen"]
    here = folder / way
    here.mkdir()
    for name, text in configuration(way, gate, application, port, asks["listen"]).items():
        text = text.replace("filename: dynamic.yaml", f"filename: {here}/dynamic.yaml")
        text = text.replace("127.0.0.1:8079", asks["within"]).replace("port_value: 9901", f"port_value: {free_port()}")
        text = text.replace("    user  haproxy\n    group haproxy\n", "").replace("/run/haproxy/", f"{here}/")
        text = text.replace("log   /dev/log local0", "log   stdout format raw local0")
        text = text.replace("/etc/haproxy/ostiary-spoe.conf", f"{here}/ostiary-spoe.conf")
        (here / name).write_text(text.replace("bind :2222", f"bind 127.0.0.1:{free_port()}"))
    if way == "nginx":
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=user))
        return [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]
    if way == "caddy":
        return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(here / "Caddyfile")]
    if way == "traefik":
        return [program("traefik"), "--configfile", str(here / "traefik.yaml")]
    if way == "haproxy":
        return [program("haproxy"), "-db", "-f", str(here / "haproxy.cfg")]
    (file,) = here.iterdir()
    return [program("envoy"), "-c", str(file), "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"]


def asked_at(folder: Path) -> dict[str, str]:
    """Return addresses, beside `listen`, at which a gate answers gateways of all kinds, by their field of `[gate]`."""
    return {"grpc": f"unix:{folder}/grpc.sock", "spoe": f"127.0.0.1:{free_port()}"}


@contextmanager
def started(ways: Sequence[str], gate: Any, asks: dict[str, str], application: int) -> Iterator[dict[str, int]]:
    """Run gateways in front of a gate and an application; yield the port of each once it answers."""
    folder, found = gate.folder, {}
    asks = {**asks, "listen": f"127.0.0.1:{gate.port}", "within": f"127.0.0.1:{free_port()}"}
    home = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
    running: list[subprocess.Popen[bytes]] = []
    try:
        for way in ways:
            found[way] = free_port()
            command = _command(way, folder, asks, f"127.0.0.1:{application}", found[way])
            with (folder / f"{way}.log").open("wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **home}))
        for way, process in zip(ways, running, strict=True):
            end = time.monotonic() + 60
            while not _listens(found[way]):
                assert process.poll() is None and time.monotonic() < end, (folder / f"{way}.log").read_text()[-2000:]
                time.sleep(0.05)
        yield found
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def gateways() -> SimpleNamespace:
    """Return what runs real gateways: pytest's import mode lets no test import it."""
    return SimpleNamespace(started=started, asked_at=asked_at)
