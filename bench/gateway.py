"""Measure the gate: what a decision costs it, what it adds at real gateways, and how fast a risk is refused.

    python -m bench.gateway [--questions 40000] [--rounds 3] [--seconds 4] [--only PART]

Cost: a real `ostiary gate` with metrics and decision log on (this process stands in for the engine, and takes the
records), asked over a unix socket by 16 connections; processor time of the answering process a question, as the kernel
counts it, evaluated each time (each question by another address) and from a decision that still holds. Beside it the
peer: a real OPA over REST with its decision log on, the same policy and the same questions, in turns.
Gateways: wrk against nginx and Envoy in front of an nginx that answers at once; bare, asking the gate, and, at nginx,
asking OPA over REST; in turns. Refusal: from the instant at which
the engine says a risk to the first refusal. Closing: to the end of a connection that had been let in, by the kernel (as
root) and in a real HAProxy; without what waits before it in an engine that is at work. Memory: of one answering process
that holds 1,000,000 risks and 200 routes. Endurance: 1,000 questions a second, with another bundle and another risk
every second. Read the ratios: figures move with the load.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.policy import machine
from ostiary.sidecar.feed import FeedServer, News
from policy.bundles import SHIPPED, Bundle, load_bundle
from policy.document import request_document
from policy.values import AccessRequest, Decision, Resource, Subject
from response.actuators.haproxy import HaproxyCloser
from response.actuators.sockets import SocketCloser
from response.ports import Closer
from risk.standing import Part, Standing
from risk.values import Level
from sensors.values import Entity, EntityKind

ROOT = Path(__file__).parents[1]
CONNECTIONS = 16
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PATH = f"{os.environ.get('PATH', '')}:{ROOT / '.tools' / 'bin'}:/usr/sbin"


class Gate:
    """A gate in a folder, and the engine's end of its feed in a thread."""

    def __init__(self, folder: Path, settings: str = "", risks: Sequence[Standing] = ()) -> None:
        self.folder, self.socket = folder, folder / "gate.sock"
        self._risks, self.taken = risks, 0
        self.closer: Closer | None = None
        routes = f'[gate]\ndirectory = "{folder}/gate"\nlisten = "unix:{self.socket}"\n{settings}\n'
        (folder / "ostiary.toml").write_text(f'state_dir = "{folder}/state"\n{routes}')

    @contextmanager
    def running(self) -> Iterator["Gate"]:
        began = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._engine(began)))
        thread.start()
        began.wait()
        command = [sys.executable, "-m", "ostiary", "gate", "--config", str(self.folder / "ostiary.toml")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while not self.feed.ready.is_set():
                time.sleep(0.01)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            self.worker = int(children[0])
            yield self
        finally:
            process.terminate()
            process.wait()
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def tell(self, standing: Standing) -> None:
        self.feed.publish(News("m", [standing], whole=False))

    def use(self, bundle: Bundle) -> None:
        self._loop.call_soon_threadsafe(self.feed.use, bundle)

    async def _engine(self, began: threading.Event) -> None:
        async def snapshot(between: Callable[[], None]) -> News:
            between()
            return News("m", self._risks, whole=True)

        async def take(decisions: Sequence[Decision]) -> None:
            self.taken += len(decisions)

        async def close(who: Sequence[tuple[Entity, str]]) -> int:
            closer = self.closer
            if closer is None:
                return 0
            return await asyncio.to_thread(lambda: sum(closer.close(entity) for entity, _ in who))

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.feed = FeedServer(snapshot, take, lambda _: None, load_bundle(), close)
        began.set()
        await self.feed.serve(self.folder / "gate" / "feed.sock", self._stop)


def standing(address: str, risk: float) -> Standing:
    """Return a risk that lasts."""
    parts = (Part("scan.vertical", risk, 1e9, 1.5), Part("guess.password", risk / 2, 1e9, 1.0))
    return Standing(time.time_ns(), Entity(EntityKind.IP, address), Level.LOW, 1.0, parts if risk else ())


def address(number: int) -> str:
    """Return an address that no other number has."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def processor_s(process: int) -> float:
    """Return the seconds of processor time that a process and its threads have used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def asked(number: int) -> bytes:
    """Return a question as Envoy's HTTP service asks it."""
    return (
        f"GET /ext-authz/shop/cart HTTP/1.1\r\nhost: www.example.org\r\nx-real-ip: {address(number)}\r\n"
        "accept: */*\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
    ).encode()


def posted(number: int) -> bytes:
    """Return the same question for OPA."""
    request = AccessRequest(
        time.time_ns(), Subject(Entity(EntityKind.IP, address(number))), Resource("http", "/", "normal"), "GET",
        {"gateway": "envoy"},
    )  # fmt: skip
    body = json.dumps({"input": request_document(request, None)})
    return f"POST /v1/data/ostiary/decision HTTP/1.1\r\nhost: opa\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


async def ask_all(where: Path | tuple[str, int], questions: Sequence[bytes]) -> None:
    """Ask everything over so many connections, each question once its connection's last one is answered."""
    waiting = iter(questions)

    async def one() -> None:
        if isinstance(where, Path):
            reader, writer = await asyncio.open_unix_connection(str(where))
        else:
            reader, writer = await asyncio.open_connection(*where)
        for question in waiting:
            writer.write(question)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


@contextmanager
def opa(binary: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run an OPA with the shipped policy and its decision log on."""
    port = free_port()
    command = [
        binary, "run", "--server", "--disable-telemetry", "-l", "error", "--set", "decision_logs.console=true",
        "-a", f"127.0.0.1:{port}", "-b", str(SHIPPED),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def cost(options: argparse.Namespace) -> None:
    """Print what a decision costs the gate and OPA."""
    count = options.questions
    used: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        Gate(Path(name), 'mode = "enforce"\n').running() as gate,
        opa(options.opa) as (port, peer),
    ):
        fresh = [asked(number) for number in range(count)]
        same = [asked(number % 50) for number in range(count)]
        documents = [posted(number) for number in range(count // 4)]
        ways: dict[str, tuple[int, Path | tuple[str, int], Sequence[bytes]]] = {
            "OPA over REST, decision log on": (peer.pid, ("127.0.0.1", port), documents),
            "gate, evaluated each time": (gate.worker, gate.socket, fresh),
            "gate, a decision that still holds": (gate.worker, gate.socket, same),
        }
        for _ in range(options.rounds):
            for way, (process, where, questions) in ways.items():
                time.sleep(1.2)  # so that no decision holds any more
                began = processor_s(process)
                asyncio.run(ask_all(where, questions))
                used.setdefault(way, []).append((processor_s(process) - began) / len(questions) * 1e6)
        while gate.taken < count:
            time.sleep(0.1)
    print(f"{'microseconds of processor time a decision':44} {'median':>8} {'all rounds'}")
    rival = statistics.median(used["OPA over REST, decision log on"])
    for way, rounds in used.items():
        middle = statistics.median(rounds)
        print(f"{way:44} {middle:8.0f} {' '.join(f'{each:.0f}' for each in rounds)} ({rival / middle:.1f} x)")


def refusal(options: argparse.Namespace) -> None:
    """Print how long a risk takes from the engine's word to the first refusal."""
    taken = []
    with tempfile.TemporaryDirectory() as name, Gate(Path(name), 'mode = "enforce"\n').running() as gate:
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(gate.socket))
        for number in range(options.refusals):
            question = asked(number)
            line.sendall(question)
            assert line.recv(4096).startswith(b"HTTP/1.1 200")
            began = time.perf_counter()
            gate.tell(standing(address(number), 0.95))
            while True:
                line.sendall(question)
                if line.recv(4096).startswith(b"HTTP/1.1 403"):
                    break
            taken.append((time.perf_counter() - began) * 1e3)
    taken.sort()
    p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
    print(
        f"risk told to first refusal, {len(taken)} times: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {taken[-1]:.2f} ms"
    )


def closing(options: argparse.Namespace) -> None:
    """Print how long a risk takes from the engine's word to the end of an open connection."""
    echo = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_echo, args=(echo,), daemon=True).start()
    with (
        tempfile.TemporaryDirectory() as name,
        Gate(Path(name), 'mode = "enforce"\n').running() as gate,
        haproxy(Path(name), echo.getsockname()[1]) as (port, admin),
    ):
        ways: dict[str, tuple[Closer, int]] = {
            "kernel's sockets": (SocketCloser(), echo.getsockname()[1]),
            "HAProxy": (HaproxyCloser(admin), port),
        }
        for way, (gate.closer, target) in ways.items():
            taken = sorted(_closed_after(gate, number, target) for number in range(options.closings))
            p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
            print(f"risk told to closed connection, {way}, {len(taken)} times: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def _closed_after(gate: Gate, number: int, port: int) -> float:
    """Return the milliseconds from the engine's word to the end of a connection that was let in."""
    source = f"127.1.{number >> 8}.{number & 255}"
    with socket.socket(socket.AF_UNIX) as line, socket.socket() as client:
        line.connect(str(gate.socket))
        line.sendall(asked(0).replace(address(0).encode(), source.encode()))
        assert line.recv(4096).startswith(b"HTTP/1.1 200")
        client.bind((source, 0))
        client.connect(("127.0.0.1", port))
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        began = time.perf_counter()
        gate.tell(standing(source, 0.95))
        with suppress(OSError):
            assert client.recv(1) == b""
        took = (time.perf_counter() - began) * 1e3
        gate.tell(standing(source, 0.0))
        return took


def _echo(listener: socket.socket) -> None:
    def talk(end: socket.socket) -> None:
        try:
            while part := end.recv(100):
                end.sendall(part)
        except OSError:
            pass
        end.close()

    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def endurance(options: argparse.Namespace) -> None:
    """Ask 1,000 times a second for a long while, another bundle and another risk every second; print each minute."""
    asyncio.run(_endure(options.minutes))


async def _endure(minutes: float) -> None:
    shipped = load_bundle()
    with tempfile.TemporaryDirectory() as name, Gate(Path(name), 'mode = "enforce"\n').running() as gate:
        took: list[float] = []
        failed: Counter[str] = Counter()
        end = time.perf_counter() + minutes * 60

        async def one(number: int) -> None:
            reader, writer = await asyncio.open_unix_connection(str(gate.socket))
            due = time.perf_counter() + number / 1_000
            while (due := due + CONNECTIONS / 1_000) < end:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                began = time.perf_counter()
                writer.write(asked(int(due * 1_000) % 5_000))
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 403")):
                    failed[head.decode()] += 1
                took.append((time.perf_counter() - began) * 1e3)
            writer.close()

        async def change() -> None:
            for second in range(int(minutes * 60) - 1):
                await asyncio.sleep(1)
                gate.tell(standing(address(second % 5_000), 0.95 * (second // 5_000 % 2 == 0)))
                bundle = dataclasses.replace(shipped, revision=f"{second:064x}")
                gate.use(bundle)
                if second % 60 == 59:
                    so_far, took[:] = sorted(took), []
                    status = Path(f"/proc/{gate.worker}/status").read_text()
                    held = re.search(r"VmRSS:\s+(\d+) kB", status)
                    p50, p99 = (so_far[int(len(so_far) * share)] for share in (0.5, 0.99))
                    print(
                        f"minute {second // 60 + 1}: {len(so_far):,} answers, {failed.total()} failed, "
                        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {int(held[1]) / 1024 if held else 0:.1f} MB", flush=True,
                    )  # fmt: skip

        await asyncio.gather(change(), *(one(number) for number in range(CONNECTIONS)))
    print(f"{minutes:g} minutes: {failed.total()} failed, {gate.taken:,} decisions recorded")
    print(
        "".join(
            f"{count} x {head.split(chr(13))[0]} {head.partition('x-ostiary-error')[2]}"
            for head, count in failed.items()
        )
    )


@contextmanager
def haproxy(folder: Path, application: int) -> Iterator[tuple[int, Path]]:
    """Run HAProxy in front of an application; yield its port and its stats socket."""
    port, admin = free_port(), folder / "admin.sock"
    (folder / "haproxy.cfg").write_text(
        f"global\n stats socket {admin} level admin\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n"
        f" timeout server 60s\nlisten a\n bind 127.0.0.1:{port}\n server a 127.0.0.1:{application}\n"
    )
    binary = shutil.which("haproxy", path=PATH)
    assert binary
    process = subprocess.Popen([binary, "-db", "-f", str(folder / "haproxy.cfg")], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port, admin
    finally:
        process.terminate()
        process.wait()


def memory(options: argparse.Namespace) -> None:
    """Print what one process holds that knows many risks."""
    risks = [standing(address(number), 0.3) for number in range(options.risks)]
    routes = "".join(f'[gate.routes."/route{number}"]\nsensitivity = "normal"\n' for number in range(200))
    with tempfile.TemporaryDirectory() as name, Gate(Path(name), routes, risks).running() as gate:
        asyncio.run(ask_all(gate.socket, [asked(number) for number in range(2_000)]))
        status = Path(f"/proc/{gate.worker}/status").read_text()
    held = {name: int(size) // 1024 for name, size in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status)}
    print(f"{options.risks:,} risks and 200 routes: {held['VmRSS']} MB held, {held['VmHWM']} MB at most")


NGINX = """
daemon off; {user} pid {folder}/{name}.pid; error_log {folder}/{name}.log crit; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    upstream app {{ server 127.0.0.1:{app}; keepalive 32; }}
    upstream gate {{ server unix:{gate}; keepalive 32; }}
    upstream opa {{ server 127.0.0.1:{opa}; keepalive 32; }}
    proxy_http_version 1.1; proxy_set_header Connection "";
    server {{ listen 127.0.0.1:{app} reuseport; return 200 "ok"; }}
    server {{ listen 127.0.0.1:{bare}; location / {{ proxy_pass http://app; }} }}
    server {{
        listen 127.0.0.1:{asks};
        location / {{ auth_request /ask; proxy_pass http://app; }}
        location = /ask {{
            internal; proxy_pass http://gate/auth-request; proxy_pass_request_body off; proxy_pass_request_headers off;
            proxy_set_header Content-Length ""; proxy_set_header Connection "";
            proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Ostiary-Route /;
        }}
    }}
    server {{
        listen 127.0.0.1:{asks_opa};
        location / {{ auth_request /ask; proxy_pass http://app; }}
        location = /ask {{
            internal; proxy_pass http://opa/v1/data/ostiary/decision; proxy_method POST;
            proxy_set_header Connection ""; proxy_set_header Content-Type application/json;
            proxy_set_body '{document}';
        }}
    }}
}}
"""

ENVOY = """
static_resources:
  listeners:
{listeners}
  clusters:
  - {{name: app, connect_timeout: 1s, load_assignment: {{cluster_name: app, endpoints: [{{lb_endpoints: [{{endpoint:
      {{address: {{socket_address: {{address: 127.0.0.1, port_value: {app}}}}}}}}}]}}]}}}}
  - {{name: gate, connect_timeout: 1s, load_assignment: {{cluster_name: gate, endpoints: [{{lb_endpoints: [{{endpoint:
      {{address: {{pipe: {{path: {gate}}}}}}}}}]}}]}}}}
"""
LISTENER = """
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          route_config: {{virtual_hosts: [{{name: a, domains: ["*"], routes: [{{match: {{prefix: /}}, route:
            {{cluster: app}}}}]}}]}}
          http_filters:
{filters}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"""
ASKING = """
          - name: ask
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              http_service:
                server_uri: {uri: "http://gate", cluster: gate, timeout: 1s}
                path_prefix: /ext-authz
                authorization_request:
                  headers_to_add: [{key: x-real-ip, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}]
"""


def gateways(options: argparse.Namespace) -> None:
    """Print what asking adds at nginx and Envoy."""
    ports = {name: free_port() for name in ("app", "bare", "asks", "asks_opa", "envoy", "envoy_asks")}
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as name, Gate(Path(name), 'mode = "enforce"\n').running() as gate:
        folder = Path(name)
        with opa(options.opa) as (port, _):
            document = posted(1).partition(b"\r\n\r\n")[2].decode().replace(address(1), "$remote_addr")
            user = "user root;" if os.geteuid() == 0 else ""
            (folder / "nginx.conf").write_text(
                NGINX.format(folder=folder, name="n", user=user, gate=gate.socket, opa=port, document=document, **ports)
            )
            listeners = LISTENER.format(name="bare", port=ports["envoy"], filters="")
            listeners += LISTENER.format(name="asks", port=ports["envoy_asks"], filters=ASKING)
            (folder / "envoy.yaml").write_text(ENVOY.format(listeners=listeners, app=ports["app"], gate=gate.socket))
            nginx, envoy = shutil.which("nginx", path=PATH), shutil.which("envoy", path=PATH)
            assert nginx and envoy
            try:
                processes.append(subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-e", "/dev/null"]))
                processes.append(
                    subprocess.Popen([envoy, "-c", str(folder / "envoy.yaml"), "--concurrency", "1", "-l", "error"])
                )
                for each in ports.values():
                    wait_for(each)
                ways = {
                    "nginx": ports["bare"], "nginx asks the gate": ports["asks"], "nginx asks OPA": ports["asks_opa"],
                    "Envoy": ports["envoy"], "Envoy asks the gate": ports["envoy_asks"],
                }  # fmt: skip
                load(ways, options)
            finally:
                for process in processes:
                    process.terminate()
                    process.wait()


def load(ways: dict[str, int], options: argparse.Namespace) -> None:
    """Load every way in turns with one connection and with 16, and print the medians."""
    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for _ in range(options.rounds):
        for way, port in ways.items():
            for connections in (1, CONNECTIONS):
                command = ["wrk", "-t1", f"-c{connections}", f"-d{options.seconds}s", "--latency"]
                said = subprocess.run(
                    [*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True
                ).stdout
                assert "Non-2xx" not in said, (way, said)
                p50, p99 = (_micro(re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", said)) for share in (50, 99))
                rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
                found.setdefault((way, connections), []).append((p50, p99, float(rate[1]) if rate else 0.0))
    print(f"{'microseconds, medians of rounds':32} {'p50':>8} {'added':>8} {'p99':>8} {'added':>8} {'per s':>9}")
    for connections in (1, CONNECTIONS):
        for way in ways:
            p50, p99, rate = (statistics.median(each) for each in zip(*found[way, connections], strict=True))
            bare = [statistics.median(each) for each in zip(*found[way.split()[0], connections], strict=True)]
            added = (f"{p50 - bare[0]:8.0f}", f"{p99 - bare[1]:8.0f}") if " " in way else (" " * 8, " " * 8)
            print(f"{way + f', {connections} connections':32} {p50:8.0f} {added[0]} {p99:8.0f} {added[1]} {rate:9.0f}")


def _micro(found: re.Match[str] | None) -> float:
    assert found is not None
    return float(found[1]) * {"us": 1.0, "ms": 1e3, "s": 1e6}[found[2]]


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


PARTS = (cost, gateways, refusal, closing, memory, endurance)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=40_000, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of load, per round and way")
    parser.add_argument("--refusals", type=int, default=500)
    parser.add_argument("--risks", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=2.0, help="of endurance")
    parser.add_argument("--closings", type=int, default=200)
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS])
    parser.add_argument("--opa", default=shutil.which("opa", path=PATH))
    options = parser.parse_args()
    print(machine())
    for part in PARTS:
        if options.only in (None, part.__name__):
            part(options)


if __name__ == "__main__":
    main()
