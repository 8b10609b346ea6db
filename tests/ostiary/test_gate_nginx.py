"""Real nginx with the configuration that we ship, a real gate behind it, and an application that tells what it got."""

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import Bundle, load_bundle

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "nginx" / "ostiary.conf"
GOOD, SUSPECT, ATTACKER = "127.0.0.2", "127.0.0.3", "127.0.0.4"

RISKS = {GOOD: 0.05, SUSPECT: 0.5, ATTACKER: 0.85}
ROUTES = """
[gate.routes."/admin/"]
sensitivity = "normal"
[gate.routes."/"]
failure = "open"
"""
BROKEN = Bundle(Path(), {"policy.rego": "package ostiary\n\ndecision := 1 / 0\n"}, {}, {}, "broken")
"""A policy that has no decision."""

NGINX = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
worker_processes 1;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ostiary.conf;
}}
"""


class Application(BaseHTTPRequestHandler):
    """Tells the headers that it got; /admin/large is 200 kB."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        told = {"marker": "application", "headers": dict(self.headers), "body": self.rfile.read(length).decode()}
        body = b"x" * 200_000 if self.path.endswith("/large") else json.dumps(told).encode()
        self.send_response(500 if self.path.endswith("/own-500") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@dataclass
class House:
    """The running parts and how to ask them."""

    folder: Path
    gate: Any
    """A `FedGate`."""
    port: int = 0
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def get(
        self, path: str, source: str = GOOD, headers: dict[str, str] | None = None, body: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 10, source_address=(source, 0))
        try:
            connection.request("POST" if body else "GET", path, body, headers or {})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def told(self, *arguments: Any, **named: Any) -> dict[str, str]:
        """The headers that the application got, names in lower case."""
        status, _, body = self.get(*arguments, **named)
        assert status == 200, body
        told = json.loads(body)
        assert told["marker"] == "application"
        return {name.lower(): value for name, value in told["headers"].items()}

    def wait_for_log(self, pattern: str) -> None:
        """Wait until a line of the access log, which nginx writes after the answer, matches."""
        for _ in range(200):
            if re.search(pattern, (self.folder / "access.log").read_text()):
                return
            time.sleep(0.05)
        pytest.fail(f"no line of the access log matches {pattern!r}")

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Have a policy in force that cannot decide."""
        self.gate.use(BROKEN)
        until(lambda: "broken" in self.gate.page("/health")[1], "the broken policy")
        try:
            yield
        finally:
            self.gate.use(load_bundle())
            until(lambda: "broken" not in self.gate.page("/health")[1], "the policy that decides")


def until(holds: Callable[[], object], what: str) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail(f"it never came about: {what}")


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


def wait_for(family: int, address: Any, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        with socket.socket(family) as probe:
            if probe.connect_ex(address) == 0:
                return
        assert process.poll() is None, "it ended at once"
        time.sleep(0.05)
    pytest.fail("it did not come up")


def build(make: Callable[..., Any], folder: Path, mode: str, unix: bool = False) -> Iterator[House]:
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not nginx:
        if os.environ.get("CI"):
            pytest.fail("nginx is not installed")
        pytest.skip("nginx is not installed: its configuration is NOT tested")
    application = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    thread = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    sock = folder / "gate.sock"
    listen = f'listen = "unix:{sock}"\n' if unix else ""
    house = House(folder, make(folder, f'{listen}mode = "{mode}"\n{ROUTES}', RISKS), free_port())
    try:
        house.gate.start_feed()
        house.gate.start()
        text = CONFIGURATION.read_text()
        gate = f"unix:{sock}" if unix else f"127.0.0.1:{house.gate.port}"
        for shipped, ours in [
            ("server 127.0.0.1:8771;", f"server {gate};"),
            ("server 127.0.0.1:8000;", f"server 127.0.0.1:{application.server_port};"),
            ("listen 8080;", f"listen 127.0.0.1:{house.port};"),
            ("# access_log /var/log/nginx/ostiary.log ostiary;", f"access_log {folder}/access.log ostiary;"),
        ]:
            assert shipped in text
            text = text.replace(shipped, ours)
        (folder / "ostiary.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=user))
        house.processes["nginx"] = subprocess.Popen(
            [nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        )
        wait_for(socket.AF_INET, ("127.0.0.1", house.port), house.processes["nginx"])
        yield house
    finally:
        for process in house.processes.values():
            process.terminate()
        for process in house.processes.values():
            process.wait(10)
        house.gate.stop()
        house.gate.stop_feed()
        application.shutdown()
        application.server_close()
        thread.join()


@pytest.fixture(scope="module")
def enforcing(make_fed_gate: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from build(make_fed_gate, tmp_path_factory.mktemp("enforcing"), "enforce")


@pytest.fixture(scope="module")
def observing(make_fed_gate: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from build(make_fed_gate, tmp_path_factory.mktemp("observing"), "observe", unix=True)


@pytest.mark.parametrize("path", ["/", "/admin/"])
def test_the_good_pass_and_the_attacker_does_not(enforcing: House, path: str) -> None:
    assert enforcing.told(path)["x-ostiary-verdict"] == "allow"
    status, headers, body = enforcing.get(path, ATTACKER)
    assert status == 403
    assert b"application" not in body
    assert re.fullmatch("[0-9a-f]{32}", headers["x-ostiary-decision"])
    assert "x-ostiary-verdict" not in headers


def test_bodies_reach_the_application_not_the_gate(enforcing: House) -> None:
    status, _, body = enforcing.get("/", body="x" * 100_000)
    assert (status, json.loads(body)["body"]) == (200, "x" * 100_000)
    assert enforcing.get("/", ATTACKER, body="x" * 100_000)[0] == 403


def test_observing_refuses_nobody_and_tells_the_verdict(observing: House) -> None:
    assert observing.told("/admin/", ATTACKER)["x-ostiary-verdict"] == "deny"
    assert observing.told("/", SUSPECT)["x-ostiary-verdict"] == "throttle"
    assert observing.told("/")["x-ostiary-verdict"] == "allow"
    observing.wait_for_log("verdict=deny")


FORGED = {
    "X-Real-IP": GOOD,
    "X-Forwarded-For": GOOD,
    "X-Ostiary-Verdict": "allow",
    "X-Ostiary-Decision": "f" * 32,
    "X-Ostiary-Reasons": "none",
    "X-Ostiary-Error": "none",
    "X-Ostiary-Rate": "1",
    "X-Ostiary-Route": "/public/",
    "X-Ostiary-Client-Verify": "SUCCESS",
    "X-Ostiary-Client-DN": "CN=admin",
    "X-Original-Method": "GET",
    "X_Real_IP": GOOD,
    "X_Ostiary_Verdict": "allow",
}


def test_forged_headers_help_nobody(enforcing: House) -> None:
    assert enforcing.get("/admin/", ATTACKER, FORGED)[0] == 403
    told = enforcing.told("/", GOOD, {**FORGED, "X-Real-IP": ATTACKER, "X-Forwarded-For": ATTACKER})
    ours = {name: value for name, value in told.items() if "ostiary" in name or name.startswith(("x-", "x_"))}
    assert re.fullmatch("[0-9a-f]{32}", ours.pop("x-ostiary-decision"))
    assert ours == {
        "x-real-ip": GOOD,
        "x-forwarded-for": GOOD,
        "x-forwarded-proto": "http",
        "x-ostiary-verdict": "allow",
    }


def test_the_question_cannot_be_asked_from_outside(enforcing: House) -> None:
    assert enforcing.get("/.ostiary/ask")[0] == 404


@pytest.mark.parametrize("path", ["/x/../admin/", "//admin/", "/%61dmin/", "/admin/%2e%2e/admin/", "/./admin/"])
def test_no_spelling_of_a_path_chooses_another_route(enforcing: House, path: str) -> None:
    with enforcing.broken():
        assert enforcing.get(path)[0] == 503


def test_a_throttled_client_is_slowed_not_refused(enforcing: House) -> None:
    assert enforcing.told("/", SUSPECT)["x-ostiary-verdict"] == "throttle"
    status, _, body = enforcing.get("/large", SUSPECT)
    assert (status, len(body)) == (200, 200_000)
    enforcing.wait_for_log("verdict=throttle .* limit=65536")
    assert enforcing.get("/large")[0] == 200
    enforcing.wait_for_log("verdict=allow .* limit=0")


def test_the_applications_own_errors_stay_its_own(enforcing: House) -> None:
    status, _, body = enforcing.get("/own-500")
    assert (status, json.loads(body)["marker"]) == (500, "application")


def test_a_gate_that_cannot_decide_fails_as_declared(enforcing: House) -> None:
    with enforcing.broken():
        assert "x-ostiary-verdict" not in enforcing.told("/", ATTACKER)
        status, headers, body = enforcing.get("/admin/")
        assert (status, headers["retry-after"]) == (503, "5")
        assert b"application" not in body
    enforcing.wait_for_log("error=policy.")
    assert enforcing.get("/admin/", ATTACKER)[0] == 403


def test_a_gate_that_is_killed_fails_as_declared_and_recovers(enforcing: House) -> None:
    enforcing.gate.stop(signal.SIGKILL)
    assert "x-ostiary-verdict" not in enforcing.told("/", ATTACKER, FORGED)
    status, _, body = enforcing.get("/admin/")
    assert status == 503
    assert b"application" not in body
    enforcing.gate.start()
    assert enforcing.told("/admin/")["x-ostiary-verdict"] == "allow"
    assert enforcing.get("/admin/", ATTACKER)[0] == 403


def test_a_gate_that_hangs_is_not_waited_for(enforcing: House) -> None:
    (worker,) = enforcing.gate.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        assert enforcing.get("/admin/")[0] == 503
        assert "x-ostiary-verdict" not in enforcing.told("/", ATTACKER)
    finally:
        os.kill(worker, signal.SIGCONT)


def test_observing_survives_the_gates_death(observing: House) -> None:
    observing.gate.stop(signal.SIGKILL)
    assert "x-ostiary-verdict" not in observing.told("/", ATTACKER)


def test_nginx_complains_of_nothing(enforcing: House) -> None:
    log = (enforcing.folder / "error.log").read_text()
    unexpected = [
        line
        for line in log.splitlines()
        if re.search(r"\[(warn|error|crit|alert|emerg)\]", line)
        and not re.search(r"auth request unexpected status|upstream|access forbidden|buffered to a temporary", line)
    ]
    assert unexpected == []
