"""What a gRPC decision costs the gate: CPU time of its process for each call, over a unix socket.

    python -m bench.envoy_grpc [calls] [in flight]

`new`: each client is asked about for the first time, and decided on; `known`: 3,000 clients again and again, decided on
when the last decision is older than a second; `again`: one client, whose decision still holds. Run it on a quiet
machine: what others do to the caches shows.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

from ostiary.sidecar.feed import FeedServer, News
from policy.bundles import load_bundle
from policy.gateways.envoy_messages import CheckRequest
from policy.values import Decision

ROOT = Path(__file__).parents[1]
ROUNDS = 3


def question(number: int, address: str) -> bytes:
    """Return a request as Envoy sends it for a browser's."""
    request = CheckRequest()
    attributes = request.attributes
    attributes.source.address.socket_address.address = address
    attributes.source.address.socket_address.port_value = 40_000 + number % 10_000
    attributes.destination.address.socket_address.address = "192.0.2.1"
    attributes.destination.address.socket_address.port_value = 443
    http = attributes.request.http
    http.method, http.host = "GET", "shop.example"
    http.path = f"/item/{number % 97}?x={number}"
    http.headers.update({":method": "GET", ":path": http.path, ":authority": http.host, "accept": "text/html,*/*"})
    http.headers.update({"user-agent": "Mozilla/5.0", "x-request-id": f"{number:032x}", "cookie": "theme=dark"})
    return bytes(request.SerializeToString())


def cpu_s(process: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Engine(threading.Thread):
    """Feeds the gate: a policy, and nothing against anybody."""

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self.directory, self.up, self.taken = directory, threading.Event(), 0

    def run(self) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        async def snapshot(between: Callable[[], None]) -> News:
            between()
            return News("m", [], whole=True)

        async def take(decisions: Sequence[Decision]) -> None:
            self.taken += len(decisions)

        feed = FeedServer(snapshot, take, lambda _count: None, load_bundle())
        serving = asyncio.create_task(feed.serve(self.directory / "feed.sock", asyncio.Event()))
        await feed.ready.wait()
        self.up.set()
        await serving


def main() -> None:
    """Measure and print."""
    calls, in_flight = (int(argument) for argument in (sys.argv[1:] + ["5000", "16"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ostiary.toml").write_text(
            f'state_dir = "{folder}"\n[gate]\nmode = "enforce"\nlisten = "unix:{folder}/s"\ngrpc = "unix:{folder}/g"\n'
        )
        engine = Engine(folder / "gate")
        engine.start()
        gate = subprocess.Popen([sys.executable, "-m", "ostiary", "gate", "--config", name + "/ostiary.toml"], cwd=ROOT)
        try:
            assert engine.up.wait(30)
            worker = int(Path(f"/proc/{gate.pid}/task/{gate.pid}/children").read_text().split()[0])
            with grpc.insecure_channel(f"unix:{folder}/g") as channel:
                measure(channel, worker, calls, in_flight)
            print(f"resident {Path(f'/proc/{worker}/statm').read_text().split()[1]} pages; {engine.taken} records")
        finally:
            gate.terminate()
            gate.wait(20)


def measure(channel: grpc.Channel, worker: int, calls: int, in_flight: int) -> None:
    """Call by each mode in turn, several times."""
    ask = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
    new = iter(range(1 << 24))

    def address(mode: str, number: int) -> str:
        code = next(new) if mode == "new" else number % 3_000 if mode == "known" else 0
        return f"{10 if mode == 'new' else 11}.{code >> 16 & 255}.{code >> 8 & 255}.{code & 255}"

    for mode in ("new", "known", "again") * ROUNDS:
        messages = [question(number, address(mode, number)) for number in range(calls)]
        waiting: deque[grpc.Future] = deque()
        used, began = cpu_s(worker), time.perf_counter()
        for message in messages:
            waiting.append(ask.future(message))
            if len(waiting) >= in_flight:
                waiting.popleft().result()
        for one in waiting:
            one.result()
        took = time.perf_counter() - began
        print(
            f"{mode:6} {(cpu_s(worker) - used) / calls * 1e6:4.0f} µs of CPU a call, {calls / took:5.0f} calls a second"
        )


if __name__ == "__main__":
    main()
