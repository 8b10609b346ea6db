"""One gate, six ways to ask it: the same requests through real gateways give the same decisions and reasons."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
WAYS = ("nginx", "caddy", "traefik", "haproxy", "envoy", "envoy-grpc")
KINDS = {1: 0.05, 2: 0.3, 3: 0.5, 4: 0.75, 5: 0.85, 6: 0.95}
EACH = 20
REQUESTS = 1_000
Told = tuple[str, tuple[str, ...], bool]
"""Verdict, reasons, and whether the application was reached."""


class Application(BaseHTTPRequestHandler):
    """Tells which decision let a request in."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"decision": self.headers["X-Ostiary-Decision"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that the base class calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


def client(way: str, kind: int, number: int) -> str:
    """Return a client's address, of this way alone, so that no way's refusals are another's history."""
    return f"127.{WAYS.index(way) + 1}.{kind}.{number + 1}"


@pytest.fixture
def ports(tmp_path: Path, make_fed_gate: Any, gateways: Any) -> Iterator[tuple[Any, dict[str, int]]]:
    """Yield the gate, and the port of each gateway."""
    application = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    serving = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    risks = {client(way, kind, n): risk for way in WAYS for kind, risk in KINDS.items() for n in range(EACH)}
    asks = gateways.asked_at(tmp_path)
    lines = "".join(f'{name} = "{address}"\n' for name, address in asks.items())
    routes = '[gate.routes."/admin"]\nsensitivity = "sensitive"\n'
    gate = make_fed_gate(tmp_path, f'mode = "enforce"\n{lines}{routes}', risks)
    try:
        gate.start_feed()
        gate.start()
        with gateways.started(WAYS, gate, asks, application.server_port) as found:
            while not all(map(answers, found.values())):
                time.sleep(0.05)
            yield gate, found
    finally:
        gate.stop()
        gate.stop_feed()
        application.shutdown()
        application.server_close()
        serving.join()


def answers(port: int) -> bool:
    try:
        return ask(port, "127.0.0.1", "GET", "/")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def ask(port: int, source: str, method: str, path: str) -> tuple[int, str]:
    """Return the status, and the decision that led to it."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, 10, source_address=(source, 0))) as connection:
        connection.request(method, path, b"x" * 40 if method == "POST" else None)
        response = connection.getresponse()
        body = response.read()
        decision = json.loads(body)["decision"] if response.status == 200 else response.getheader("X-Ostiary-Decision")
        return response.status, decision or ""


def test_the_same_requests_give_the_same_decisions_and_reasons(ports: tuple[Any, dict[str, int]]) -> None:
    gate, found = ports
    chance = random.Random(7)
    paths = ["/", "/shop/cart", "/item?id=7&x=%20", "/admin/users", "/admin/", "/a/b/../c", "/%73hop"]
    requests = [
        (
            chance.choice(list(KINDS)),
            chance.randrange(EACH),
            chance.choice(["GET", "POST", "DELETE"]),
            chance.choice(paths),
        )
        for _ in range(REQUESTS)
    ]
    asked: dict[str, list[tuple[int, str]]] = {}

    def send(way: str) -> None:
        asked[way] = [ask(found[way], client(way, kind, n), method, path) for kind, n, method, path in requests]

    threads = [threading.Thread(target=send, args=(way,)) for way in WAYS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {decision for way in WAYS for _, decision in asked[way]}
    end = time.monotonic() + 60
    while not wanted <= {decision.id for decision in gate.taken}:
        assert time.monotonic() < end, "a decision that was never recorded"
        time.sleep(0.05)
    decisions = {decision.id: decision for decision in gate.taken}

    def told(way: str) -> list[Told]:
        """A throttled client's share is a matter of time, so that alone is left out."""
        results = []
        for status, decision_id in asked[way]:
            decision = decisions[decision_id]
            reasons = tuple(reason.code for reason in decision.reasons)
            results.append((decision.verdict.value, reasons, status == 200 or decision.verdict == "throttle"))
        return results

    first = told(WAYS[0])
    assert len(Counter(first)) >= 8, "requests of every kind"
    assert {verdict for verdict, _, _ in first} == {"allow", "throttle", "step_up", "deny", "isolate"}
    for way in WAYS[1:]:
        pairs = zip(requests, first, told(way), strict=True)
        differing = [(request, ours, theirs) for request, ours, theirs in pairs if ours != theirs]
        assert differing == [], way
