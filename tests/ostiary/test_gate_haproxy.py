"""Real HAProxy with the configuration that we ship, a real gate, and an application that tells what it got."""

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from policy.bundles import Bundle, load_bundle
from response.actuators.haproxy import HaproxyCloser
from sensors.entities import Entity, EntityKind

pytestmark = pytest.mark.server

SHIPPED = Path(__file__).parents[2] / "deploy" / "haproxy"
GOOD, SUSPECT, ATTACKER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
RISKS = {GOOD: 0.05, SUSPECT: 0.5, ATTACKER: 0.85}
ROUTES = """
[gate.routes."/sensitive"]
sensitivity = "sensitive"
[gate.routes."/public"]
failure = "open"
[gate.routes.ssh]
"""
BROKEN = Bundle(Path(), {"policy.rego": "package ostiary\n\ndecision := 1 / 0\n"}, {}, {}, "broken")
"""A policy that has no decision."""


class Application(BaseHTTPRequestHandler):
    """Tells the headers and the body that it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        told = {"marker": "application", "headers": dict(self.headers), "body": self.rfile.read(length).decode()}
        body = json.dumps(told).encode()
        self.send_response(500 if self.path.endswith("/own-500") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Has nothing to say of connections that end."""

    def handle_error(self, *_: object) -> None:
        pass


class Greeter(threading.Thread):
    """A server that speaks first, as those of SSH do."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            with connection:
                connection.sendall(b"hello")
                if connection.recv(4) == b"stop":
                    return


@dataclass
class House:
    """The running parts and how to ask them."""

    folder: Path
    gate: Any
    """A `FedGate`."""
    port: int
    tls: int
    tcp: int
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def get(
        self, path: str, source: str = GOOD, headers: dict[str, str] | None = None, body: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        return ask(
            http.client.HTTPConnection("127.0.0.1", self.port, 10, source_address=(source, 0)), path, headers, body
        )

    def told(self, *arguments: Any, **named: Any) -> dict[str, str]:
        """The headers that the application got, names in lower case."""
        return application(*self.get(*arguments, **named))

    def greeting(self, source: str = GOOD) -> bytes:
        """What a client of the TCP frontend reads."""
        with socket.create_connection(("127.0.0.1", self.tcp), 10, source_address=(source, 0)) as client:
            try:
                data = client.recv(5)
                client.sendall(b"bye!")
                return data
            except ConnectionError:
                return b""

    def kill(self) -> None:
        """End the gate as a power cut would, and wait until its processes, which end with it, are gone, too."""
        self.gate.stop(signal.SIGKILL)
        until(lambda: not listens(self.gate.port), "the end of its processes")

    def wait_for_log(self, pattern: str) -> None:
        """Wait until a line of HAProxy's log, which comes after the answer, matches."""
        until(lambda: re.search(pattern, self.log()), f"a line of the log that matches {pattern!r}")

    def log(self) -> str:
        return (self.folder / "haproxy.log").read_text()

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


def ask(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None, body: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    try:
        connection.request("POST" if body else "GET", path, body, headers or {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def application(status: int, _: dict[str, str], body: bytes) -> dict[str, str]:
    assert status == 200, body
    told = json.loads(body)
    assert told["marker"] == "application"
    return {name.lower(): value for name, value in told["headers"].items()}


def until(holds: Callable[[], Any], what: str) -> Any:
    for _ in range(400):
        if found := holds():
            return found
        time.sleep(0.05)
    pytest.fail(f"it never came about: {what}")


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


def certificates(folder: Path) -> None:
    """Write an authority, a server's certificate with its key, and a client's."""
    now = datetime.now(UTC)

    def made(name: str, issuer: str, signer: ec.EllipticCurvePrivateKey | None = None) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer)]
        built = (
            x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
            .sign(signer or key, hashes.SHA256())
        )  # fmt: skip
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
        return key

    authority = made("authority", "authority")
    made("server", "authority", authority)
    made("alice", "authority", authority)
    made("mallory", "elsewhere")


def build(make: Callable[..., Any], folder: Path, mode: str, unix: bool = False) -> Iterator[House]:
    haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not haproxy:
        if os.environ.get("CI"):
            pytest.fail("HAProxy is not installed")
        pytest.skip("HAProxy is not installed: its configuration is NOT tested")
    certificates(folder)
    server, greeter = Server(("127.0.0.1", 0), Application), Greeter()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    greeter.start()
    spoe = f"unix:{folder}/spoe.sock" if unix else f"127.0.0.1:{free_port()}"
    house = House(
        folder,
        make(folder, f'spoe = "{spoe}"\nmode = "{mode}"\nprocesses = {1 + unix}\n{ROUTES}', RISKS),
        free_port(),
        free_port(),
        free_port(),
    )
    try:
        house.gate.start_feed()
        house.gate.start()
        (folder / "ostiary-spoe.conf").write_text((SHIPPED / "ostiary-spoe.conf").read_text())
        text = (SHIPPED / "haproxy.cfg").read_text()
        tls = f"ssl crt {folder}/server.pem alpn h2,http/1.1 ca-file {folder}/authority.pem verify optional"
        for shipped, ours in [
            ("    user  haproxy\n    group haproxy\n", ""),
            ("/run/haproxy/admin.sock", f"{folder}/admin.sock"),
            ("log   /dev/log local0", "log   stdout format raw local0"),
            ("/etc/haproxy/ostiary-spoe.conf", f"{folder}/ostiary-spoe.conf"),
            ("bind :8080", f"bind 127.0.0.1:{house.port}\n    bind [::1]:{house.port}"),
            (
                "# bind :8443 ssl crt",
                f"bind 127.0.0.1:{house.tls} {tls} crt-ignore-err all ca-ignore-err all\n    # bind",
            ),
            ("bind :2222", f"bind 127.0.0.1:{house.tcp}"),
            ("127.0.0.1:8772", spoe.replace("unix:", "unix@")),
            ("127.0.0.1:8000", f"127.0.0.1:{server.server_port}"),
            ("server ssh 127.0.0.1:22\n", f"server ssh 127.0.0.1:{greeter.port}\n"),
        ]:
            assert shipped in text, shipped
            text = text.replace(shipped, ours)
        if mode == "observe":
            text, count = re.subn(r"    (?:http-request return status 503|tcp-request).* if !answered.*\n", "", text)
            assert count == 3
        (folder / "haproxy.cfg").write_text(text)
        with (folder / "haproxy.log").open("wb") as log:
            house.processes.append(
                subprocess.Popen([haproxy, "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log)
            )
        until(lambda: house.processes[0].poll() is not None or listens(house.port), "HAProxy")
        assert house.processes[0].poll() is None, house.log()
        yield house
    finally:
        for process in house.processes:
            process.terminate()
            process.wait(10)
        house.gate.stop()
        house.gate.stop_feed()
        server.shutdown()
        server.server_close()
        serving.join()
        with socket.create_connection(("127.0.0.1", greeter.port)) as last:
            last.sendall(b"stop")
        greeter.join()
        greeter.socket.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def enforcing(make_fed_gate: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from build(make_fed_gate, tmp_path_factory.mktemp("enforcing"), "enforce")


@pytest.fixture(scope="module")
def observing(make_fed_gate: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from build(make_fed_gate, tmp_path_factory.mktemp("observing"), "observe", unix=True)


@pytest.mark.parametrize("path", ["/", "/public/x"])
def test_the_good_pass_and_the_attacker_does_not(enforcing: House, path: str) -> None:
    assert enforcing.told(path)["x-ostiary-verdict"] == "allow"
    status, headers, body = enforcing.get(path, ATTACKER)
    assert (status, headers["retry-after"]) == (403, "60")
    assert b"application" not in body
    assert re.fullmatch("[0-9a-f]{32}", headers["x-ostiary-decision"])
    assert "x-ostiary-verdict" not in headers


def test_what_is_sensitive_asks_for_proof(enforcing: House) -> None:
    status, headers, body = enforcing.get("/sensitive/a")
    assert status == 401
    assert headers["www-authenticate"] == 'Bearer error="insufficient_user_authentication"'
    assert re.fullmatch("[0-9a-f]{32}", headers["x-ostiary-decision"])
    assert b"application" not in body


def test_a_throttled_client_is_served_up_to_its_share(enforcing: House) -> None:
    assert enforcing.told("/", SUSPECT)["x-ostiary-verdict"] == "throttle"
    for _ in range(500):
        status, headers, _ = enforcing.get("/", SUSPECT)
        if status != 200:
            break
    assert (status, headers["retry-after"]) == (429, "1")
    enforcing.wait_for_log("verdict=throttle .* rate=65536")
    assert enforcing.get("/")[0] == 200


def test_bodies_reach_the_application(enforcing: House) -> None:
    status, _, body = enforcing.get("/", body="x" * 100_000)
    assert (status, json.loads(body)["body"]) == (200, "x" * 100_000)
    assert enforcing.get("/", ATTACKER, body="x" * 100)[0] == 403


def test_observing_refuses_nobody_and_tells_the_verdict(observing: House) -> None:
    assert observing.told("/sensitive/", ATTACKER)["x-ostiary-verdict"] == "isolate"
    assert observing.told("/", SUSPECT)["x-ostiary-verdict"] == "throttle"
    assert observing.told("/")["x-ostiary-verdict"] == "allow"
    assert observing.greeting(ATTACKER) == b"hello"
    observing.wait_for_log("verdict=isolate")
    observing.wait_for_log(" ssh ssh_servers/ssh .* verdict=deny")


FORGED = {
    "X-Real-IP": GOOD,
    "X-Forwarded-For": GOOD,
    "Forwarded": f"for={GOOD}",
    "X-Forwarded-Host": "elsewhere",
    "X-Ostiary-Verdict": "allow",
    "X-Ostiary-Decision": "f" * 32,
    "X-Ostiary-Reasons": "none",
    "X-Ostiary-Route": "/public/",
    "X-Ostiary-Client-Verify": "SUCCESS",
    "X-Ostiary-Client-DN": "CN=admin",
    "X-Original-Method": "GET",
    "X_Real_IP": GOOD,
    "X_Ostiary_Verdict": "allow",
    "x_forwarded-FOR": GOOD,
    "X.Real.IP": GOOD,
}


def test_forged_headers_help_nobody(enforcing: House) -> None:
    assert enforcing.get("/", ATTACKER, FORGED)[0] == 403
    told = enforcing.told("/", GOOD, {**FORGED, "X-Real-IP": ATTACKER, "X-Forwarded-For": ATTACKER, "X-Mine": "kept"})
    ours = {name: value for name, value in told.items() if "forwarded" in name or name.startswith("x")}
    assert re.fullmatch("[0-9a-f]{32}", ours.pop("x-ostiary-decision"))
    assert ours == {
        "x-real-ip": GOOD,
        "x-forwarded-for": GOOD,
        "x-forwarded-proto": "http",
        "x-ostiary-verdict": "allow",
        "x-mine": "kept",
    }


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-API-Key", "Host"])
def test_a_header_that_counts_comes_once(enforcing: House, name: str) -> None:
    with socket.create_connection(("127.0.0.1", enforcing.port), 10, source_address=(GOOD, 0)) as client:
        host = "" if name == "Host" else "Host: a\r\n"
        client.sendall(f"GET / HTTP/1.1\r\n{host}{name}: a\r\n{name}: b\r\nConnection: close\r\n\r\n".encode())
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("headers", [{"Cookie": "x" * 6_145}, {"Authorization": "x" * 9_000}, {"X-API-Key": "x" * 513}])
def test_nobody_is_undecided_for_being_long(enforcing: House, headers: dict[str, str]) -> None:
    assert enforcing.get("/public/", ATTACKER, headers)[0] == 431
    assert enforcing.get("/public/?" + "x" * 6_200, ATTACKER)[0] == 431


def test_the_longest_question_is_decided(enforcing: House) -> None:
    headers = {"Cookie": "x" * 6_000, "Authorization": "x" * 3_000, "X-API-Key": "x" * 500}
    assert enforcing.get("/" + "x" * 4_000, ATTACKER, headers)[0] == 403


@pytest.mark.parametrize(
    "path", ["/x/../sensitive/", "//sensitive/", "/%73ensitive/", "/public/%2e%2e/sensitive", "/./sensitive"]
)
def test_no_spelling_of_a_path_chooses_another_route(enforcing: House, path: str) -> None:
    assert enforcing.get(path)[0] == 401


@pytest.mark.parametrize("path", ["/public/%2f..%2fsensitive", "/../sensitive", "/public\\..\\sensitive"])
def test_a_path_that_can_be_read_in_two_ways_is_refused(enforcing: House, path: str) -> None:
    status, _, body = enforcing.get(path)
    assert (status, b"application" in body) == (400, False)
    enforcing.wait_for_log("error=gateway.path")


def test_clients_over_ipv6(enforcing: House) -> None:
    told = application(*ask(http.client.HTTPConnection("::1", enforcing.port, 10), "/"))
    assert (told["x-real-ip"], told["x-ostiary-verdict"]) == ("::1", "allow")
    enforcing.gate.tell({"::1": 0.85})
    until(lambda: ask(http.client.HTTPConnection("::1", enforcing.port, 10), "/")[0] == 403, "the risk that was told")


def test_clients_of_http_2(enforcing: House) -> None:
    curl = shutil.which("curl")
    said = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout if curl else ""
    if not curl or "HTTP2" not in said:
        pytest.skip("no curl that speaks HTTP/2")
    for source, status in [(GOOD, "200"), (ATTACKER, "403")]:
        command = [
            curl, "-s", "--http2-prior-knowledge", "--interface", source, "-o", "/dev/null", "-w",
            "%{http_version} %{http_code}", "-H", f"x-real-ip: {GOOD}", "-H", "cookie: a=b", "-H", "cookie: c=d",
            f"http://127.0.0.1:{enforcing.port}/",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"2 {status}"  # cookies may come in several fields there (RFC 9113, section 8.2.3)


def secured(house: House, who: str) -> tuple[int, dict[str, str], bytes]:
    context = ssl.create_default_context(cafile=house.folder / "authority.pem")
    context.check_hostname = False
    if who:
        context.load_cert_chain(house.folder / f"{who}.pem")
    return ask(http.client.HTTPSConnection("127.0.0.1", house.tls, timeout=10, context=context), "/sensitive/")


def test_a_verified_certificate_proves_who_asks(enforcing: House) -> None:
    assert secured(enforcing, "")[0] == 401
    assert secured(enforcing, "mallory")[0] == 401  # nobody whom we know signed it
    told = application(*secured(enforcing, "alice"))
    assert (told["x-ostiary-verdict"], told["x-forwarded-proto"]) == ("allow", "https")
    wanted = told["x-ostiary-decision"]
    subject = until(lambda: [d.document["subject"] for d in enforcing.gate.taken if d.id == wanted], "the record")
    assert [(who["identity"], who["proof"]) for who in subject] == [("CN=alice", "mtls")]


def test_each_of_many_gets_its_own_verdict(enforcing: House) -> None:
    expected = {GOOD: 200, ATTACKER: 403}
    sources = [GOOD, ATTACKER] * 150
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda source: enforcing.get("/many", source)[0], sources))
    assert statuses == [expected[source] for source in sources]
    counted = re.search(r'_questions_total\{gateway="haproxy"\} ([0-9.]+)', enforcing.gate.page("/metrics")[1])
    assert counted is not None and float(counted[1]) >= len(sources)


def test_connections_that_are_not_http(enforcing: House) -> None:
    assert enforcing.greeting() == enforcing.greeting(SUSPECT) == b"hello"
    assert enforcing.greeting(ATTACKER) == b""
    enforcing.wait_for_log(" ssh ssh/<NOSRV> .* verdict=deny")
    until(lambda: any(d.document["resource"]["name"] == "ssh" for d in enforcing.gate.taken), "the record")
    asked = [d.document for d in enforcing.gate.taken if d.document["resource"]["name"] == "ssh"]
    assert {(d["resource"]["kind"], d["action"]) for d in asked} == {("network", "connect")}


def test_an_open_connection_can_be_closed(enforcing: House) -> None:
    closer = HaproxyCloser(enforcing.folder / "admin.sock")
    with socket.create_connection(("127.0.0.1", enforcing.tcp), 10, source_address=("127.0.0.5", 0)) as client:
        assert client.recv(5) == b"hello"
        assert closer.close(Entity(EntityKind.IP, "127.0.0.9")) == 0
        assert closer.close(Entity(EntityKind.IP, "127.0.0.5")) == 1
        assert client.recv(5) == b""


def test_the_applications_own_errors_stay_its_own(enforcing: House) -> None:
    status, _, body = enforcing.get("/own-500")
    assert (status, json.loads(body)["marker"]) == (500, "application")


def test_a_gate_that_cannot_decide_fails_as_declared(enforcing: House) -> None:
    with enforcing.broken():
        assert "x-ostiary-verdict" not in enforcing.told("/public/", ATTACKER)
        status, headers, body = enforcing.get("/")
        assert (status, headers["retry-after"]) == (503, "1")
        assert b"application" not in body
        assert enforcing.greeting() == b""
    enforcing.wait_for_log("error=policy.")
    assert enforcing.get("/", ATTACKER)[0] == 403


def fails_as_declared(house: House) -> None:
    assert "x-ostiary-verdict" not in house.told("/public/", ATTACKER, FORGED)
    for path in ("/", "/public/../x", "/public/%2e%2e/x", "/public//x", "/public/;x", "/public", "/PUBLIC/"):
        status, headers, body = house.get(path, GOOD, FORGED)
        assert (status, headers["retry-after"]) == (503, "5"), path
        assert b"application" not in body
    assert house.greeting() == b""
    house.wait_for_log(r"verdict=- .* failed=[1-9]")


def recovers(house: House) -> None:
    until(lambda: house.get("/")[0] == 200, "an answer")
    assert house.told("/")["x-ostiary-verdict"] == "allow"
    assert house.get("/", ATTACKER)[0] == 403
    assert house.get("/public/", ATTACKER)[0] == 403
    assert house.greeting() == b"hello"
    assert house.greeting(ATTACKER) == b""


def test_a_gate_that_is_killed_fails_as_declared_and_recovers(enforcing: House) -> None:
    enforcing.kill()
    fails_as_declared(enforcing)
    enforcing.gate.start()
    recovers(enforcing)


def test_a_gate_that_ends_in_order_fails_as_declared_and_recovers(enforcing: House) -> None:
    assert enforcing.get("/")[0] == 200
    assert enforcing.gate.stop() == 0
    fails_as_declared(enforcing)
    enforcing.gate.start()
    recovers(enforcing)


def test_a_gate_that_hangs_is_not_waited_for_and_recovers(enforcing: House) -> None:
    (worker,) = enforcing.gate.workers()
    for _ in range(20):
        assert enforcing.get("/")[0] == 200  # HAProxy has connections that could be gone on with
    os.kill(worker, signal.SIGSTOP)
    try:
        fails_as_declared(enforcing)
        enforcing.wait_for_log("Server ostiary_gate/gate is DOWN, reason: Layer7 timeout")
        for number in range(8):
            assert enforcing.get(f"/hung/{number}")[0] == 503
            enforcing.wait_for_log(f'"GET /hung/{number} HTTP/1.1" .* failed=2')  # no server: nothing was waited for
    finally:
        os.kill(worker, signal.SIGCONT)
    recovers(enforcing)


def test_observing_survives_the_gates_death(observing: House) -> None:
    observing.kill()
    assert "x-ostiary-verdict" not in observing.told("/", ATTACKER)
    assert observing.greeting(ATTACKER) == b"hello"


def test_haproxy_complains_of_nothing_but_the_gates_deaths(enforcing: House) -> None:
    complaints = [line for line in enforcing.log().splitlines() if re.search(r"\[(WARNING|ALERT)\]", line)]
    assert [line for line in complaints if "ostiary_gate" not in line] == []
