"""Real Caddy and Traefik with the configurations that we ship, a real gate behind them, and an application."""

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
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
GOOD, SUSPECT, ATTACKER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
RISKS = {GOOD: 0.05, SUSPECT: 0.5, ATTACKER: 0.85}
GATE = 'mode = "{mode}"\n[gate.routes."/admin"]\nsensitivity = "sensitive"\n'


class Application(BaseHTTPRequestHandler):
    """Tells the headers that it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        told = {"marker": "application", "headers": dict(self.headers.items()), "path": self.path, "body": body}
        answer = json.dumps(told).encode()
        self.send_response(500 if self.path == "/own-500" else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - the name that the base class calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@dataclass
class House:
    """The running parts and how to ask them."""

    name: str
    folder: Path
    gate: Any
    port: int
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def get(
        self, path: str, source: str = GOOD, headers: dict[str, str] | None = None, body: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, 10, source_address=(source, 0))) as connection:
            connection.request("POST" if body else "GET", path, body, headers or {})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def told(self, *arguments: Any, **named: Any) -> dict[str, str]:
        """The headers that the application got, names in lower case."""
        status, _, body = self.get(*arguments, **named)
        assert status == 200, (status, body)
        return {name.lower(): value for name, value in json.loads(body)["headers"].items()}


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


def replaced(text: str, changes: list[tuple[str, str]]) -> str:
    for shipped, ours in changes:
        assert shipped in text, shipped
        text = text.replace(shipped, ours)
    return text


def caddy(house: House, application: int, mode: str) -> list[str]:
    text = replaced(
        (ROOT / "deploy" / "caddy" / "Caddyfile").read_text(),
        [
            ("forward_auth 127.0.0.1:8771", f"forward_auth 127.0.0.1:{house.gate.port}"),
            ("127.0.0.1:8000", f"127.0.0.1:{application}"),
            ("http://:8080 {", f"http://:{house.port} {{"),
        ],
    )
    if mode == "enforce":
        text = replaced(text, [("	import ostiary_open\n", "	import ostiary_closed\n")])
    (house.folder / "Caddyfile").write_text(text)
    return ["run", "--adapter", "caddyfile", "--config", str(house.folder / "Caddyfile")]


def traefik(house: House, application: int, mode: str) -> list[str]:
    folder, ask = ROOT / "deploy" / "traefik", free_port()
    static = [(":8080", f":{house.port}"), ("127.0.0.1:8079", f"127.0.0.1:{ask}")]
    static.append(("filename: dynamic.yaml", f"filename: {house.folder}/dynamic.yaml"))
    dynamic = [
        ("http://127.0.0.1:8771", f"http://127.0.0.1:{house.gate.port}"),
        ("127.0.0.1:8079", f"127.0.0.1:{ask}"),
        ("127.0.0.1:8000", f"127.0.0.1:{application}"),
    ]
    (house.folder / "traefik.yaml").write_text(replaced((folder / "traefik.yaml").read_text(), static))
    (house.folder / "dynamic.yaml").write_text(replaced((folder / "dynamic.yaml").read_text(), dynamic))
    return ["--configfile", str(house.folder / "traefik.yaml")]


GATEWAYS: dict[str, Callable[[House, int, str], list[str]]] = {"caddy": caddy, "traefik": traefik}


def build(make: Callable[..., Any], name: str, folder: Path, mode: str) -> Iterator[House]:
    binary = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{ROOT / '.tools' / 'bin'}")
    if not binary:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed: its configuration is NOT tested")
    application = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    thread = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    house = House(name, folder, make(folder, GATE.format(mode=mode), RISKS), free_port())
    try:
        house.gate.start_feed()
        house.gate.start()
        arguments = GATEWAYS[name](house, application.server_port, mode)
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with (folder / "gateway.log").open("wb") as log:
            house.processes.append(subprocess.Popen([binary, *arguments], stdout=log, stderr=log, env=environment))
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", house.port)) == 0 and house.get("/")[0] == 200:
                    break
            assert house.processes[0].poll() is None, (folder / "gateway.log").read_text()
            time.sleep(0.05)
        yield house
    finally:
        for process in house.processes:
            process.terminate()
        for process in house.processes:
            process.wait(20)
        house.gate.stop()
        house.gate.stop_feed()
        application.shutdown()
        application.server_close()
        thread.join()


@pytest.fixture(scope="module", params=GATEWAYS)
def enforcing(
    request: pytest.FixtureRequest, make_fed_gate: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    yield from build(make_fed_gate, request.param, tmp_path_factory.mktemp(f"{request.param}-enforcing"), "enforce")


@pytest.fixture(scope="module", params=GATEWAYS)
def observing(
    request: pytest.FixtureRequest, make_fed_gate: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    yield from build(make_fed_gate, request.param, tmp_path_factory.mktemp(f"{request.param}-observing"), "observe")


def test_the_good_pass_and_the_attacker_does_not(enforcing: House) -> None:
    assert enforcing.told("/")["x-ostiary-verdict"] == "allow"
    status, headers, body = enforcing.get("/", ATTACKER)
    assert status == 403
    assert b"application" not in body
    assert re.fullmatch("[0-9a-f]{32}", headers["x-ostiary-decision"])
    assert int(headers["retry-after"]) > 0
    assert not {"x-ostiary-verdict", "x-ostiary-reasons", "x-ostiary-error"} & set(headers)


def test_who_has_to_prove_more_is_told_so(enforcing: House) -> None:
    status, headers, _ = enforcing.get("/admin/users")
    assert (status, "insufficient_user_authentication" in headers["www-authenticate"]) == (401, True)


def test_a_throttled_client_has_its_share_of_requests(enforcing: House) -> None:
    statuses = [enforcing.get("/", SUSPECT)[0] for _ in range(40)]
    assert statuses[0] == 200
    assert set(statuses) == {200, 429}


def test_bodies_reach_the_application_not_the_gate(enforcing: House) -> None:
    status, _, body = enforcing.get("/", body="x" * 100_000)
    assert (status, json.loads(body)["body"]) == (200, "x" * 100_000)
    assert enforcing.get("/", ATTACKER, body="x" * 100_000)[0] == 403


def test_observing_refuses_nobody_and_tells_the_verdict(observing: House) -> None:
    assert observing.told("/admin", ATTACKER)["x-ostiary-verdict"] == "isolate"
    assert observing.told("/", SUSPECT)["x-ostiary-verdict"] == "throttle"
    assert observing.told("/")["x-ostiary-verdict"] == "allow"


FORGED = {
    "X-Real-IP": GOOD,
    "X-Forwarded-For": GOOD,
    "X-Forwarded-Uri": "/public",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Host": "elsewhere",
    "X-Ostiary-Verdict": "allow",
    "X-Ostiary-Decision": "f" * 32,
    "X-Ostiary-Reasons": "none",
    "X-Ostiary-Client-Verify": "SUCCESS",
    "X-Ostiary-Client-DN": "CN=admin",
    "Forwarded": f"for={GOOD}",
}


def test_forged_headers_help_nobody(enforcing: House) -> None:
    assert enforcing.get("/admin", ATTACKER, FORGED)[0] == 403
    assert enforcing.get("/admin", GOOD, FORGED)[0] == 401  # no identity comes of them
    told = enforcing.told("/", GOOD, {**FORGED, "X-Real-IP": ATTACKER, "X-Forwarded-For": ATTACKER})
    ours = {name: value for name, value in told.items() if "ostiary" in name}
    assert re.fullmatch("[0-9a-f]{32}", ours.pop("x-ostiary-decision"))
    assert ours == {"x-ostiary-verdict": "allow"}


@pytest.mark.parametrize(
    "path", ["/x/../admin", "//admin", "/%61dmin", "/admin;x=1", "/./admin", "/admin/%2e%2e/admin", "/x/..%2fadmin"]
)
def test_no_spelling_of_a_path_is_a_way_around_a_route(enforcing: House, path: str) -> None:
    status, _, body = enforcing.get(path)
    assert b"application" not in body
    assert status in (301, 307, 308, 400, 401, 404, 503)


def test_the_applications_own_errors_stay_its_own(enforcing: House) -> None:
    status, _, body = enforcing.get("/own-500")
    assert (status, json.loads(body)["marker"]) == (500, "application")


def test_a_gate_that_hangs_is_not_waited_for(enforcing: House) -> None:
    (worker,) = enforcing.gate.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        status, _, body = enforcing.get("/")  # which waits 10 s, and not the 30 that a gateway would by itself
        assert (status >= 500, b"application" in body) == (True, False)
    finally:
        os.kill(worker, signal.SIGCONT)


def test_a_gate_that_is_killed_lets_nobody_in_and_recovers(enforcing: House) -> None:
    enforcing.gate.stop(signal.SIGKILL)
    status, _, body = enforcing.get("/", GOOD, FORGED)
    assert (status >= 500, b"application" in body) == (True, False)
    enforcing.gate.start()
    assert enforcing.told("/")["x-ostiary-verdict"] == "allow"
    assert enforcing.get("/", ATTACKER)[0] == 403


def test_where_it_is_told_to_caddy_lets_through_without_the_gate(observing: House) -> None:
    if observing.name != "caddy":
        return  # Traefik cannot: its configuration says so
    observing.gate.stop(signal.SIGKILL)
    assert "x-ostiary-verdict" not in observing.told("/", ATTACKER, headers={"X-Ostiary-Verdict": "allow"})
    assert observing.get("/own-500")[0] == 500
    observing.gate.start()
