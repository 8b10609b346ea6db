"""Real Envoy with the configurations that we ship, a real gate behind it: by HTTP, by gRPC, about connections."""

import contextlib
import datetime
import http.client
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from policy.values import Decision

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "envoy"
GOOD, SUSPECT, ATTACKER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
RISKS = {GOOD: 0.05, SUSPECT: 0.5, ATTACKER: 0.85}
SETTINGS = """
mode = "enforce"
grpc = "unix:{folder}/grpc.sock"
[gate.routes."/open"]
failure = "open"
[gate.routes."/public"]
sensitivity = "public"
[gate.routes."/admin"]
sensitivity = "sensitive"
[gate.routes."/watched"]
mode = "observe"
"""


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
        told = json.dumps({"marker": "application", "path": self.path, "headers": headers, "body": body}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


def program(name: str) -> str:
    """Return where a real server is; skip, or fail in CI, where there is none."""
    found = shutil.which(name, path=f"{ROOT / '.tools' / 'bin'}:{os.environ.get('PATH', '')}")
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed: its configuration is NOT tested")
    return found


def until(holds: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"it never came about: {what}")


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


class House:
    """The running parts and how to ask them."""

    def __init__(self, folder: Path, gate: Any, shipped: str, application: tuple[str, int]) -> None:
        """`gate` is a `FedGate` of this folder."""
        self.folder, self.gate, self.shipped = folder, gate, shipped
        self.port = free_port()
        self._replaced = {
            "0.0.0.0, port_value: 8080": f"127.0.0.1, port_value: {self.port}",
            "0.0.0.0, port_value: 5432": f"127.0.0.1, port_value: {self.port}",
            "address: 127.0.0.1, port_value: 9901": f"address: 127.0.0.1, port_value: {free_port()}",
            "pipe: {path: /run/ostiary/gate.sock}": f"socket_address: {{address: 127.0.0.1, port_value: {gate.port}}}",
            "/run/ostiary/grpc.sock": f"{folder}/grpc.sock",
            "127.0.0.1, port_value: 8000}": f"127.0.0.1, port_value: {application[1]}}}",
            "127.0.0.1, port_value: 15432}": f"127.0.0.1, port_value: {application[1]}}}",
        }
        self.envoy: subprocess.Popen[bytes] | None = None

    def start_envoy(self, change: Callable[[str], str] = lambda text: text) -> None:
        """Start Envoy by the configuration that we ship, with our addresses in place of the shipped ones."""
        text = (SHIPPED / self.shipped).read_text()
        for old, new in self._replaced.items():
            text = text.replace(old, new)
        assert "address: 0.0.0.0" not in text and "path: /run" not in text
        (self.folder / "envoy.yaml").write_text(change(text))
        command = [program("envoy"), "-c", f"{self.folder}/envoy.yaml", "--concurrency", "1", "-l", "warning"]
        command += ["--use-dynamic-base-id", "--file-flush-interval-msec", "50"]
        with (self.folder / "envoy.log").open("ab") as log:
            self.envoy = subprocess.Popen(command, stdout=log, stderr=log)

        def ready() -> bool:
            assert self.envoy is not None and self.envoy.poll() is None, self.log()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(ready, "Envoy")

    def log(self) -> str:
        return (self.folder / "envoy.log").read_text()

    def logged(self, pattern: str) -> None:
        """Wait for a line of Envoy's access log."""
        until(lambda: re.search(pattern, self.log()), f"a line of the access log like {pattern!r}")

    def record(self, decision: str) -> Decision:
        """Return the record of a decision, once the gate has handed it on."""
        return until(lambda: next((one for one in self.gate.taken if one.id == decision), None), decision)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the gate's clocks."""
        frozen = [self.gate.process.pid, *self.gate.workers()]
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(frozen):
                os.kill(process, signal.SIGCONT)

    def get(
        self, path: str, source: str = GOOD, headers: dict[str, str] | None = None, method: str = "GET", body: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, 10, source_address=(source, 0))) as connection:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def told(self, *arguments: Any, **named: Any) -> dict[str, str]:
        """Return the headers that the application got, names in lower case."""
        status, _, body = self.get(*arguments, **named)
        assert status == 200, (status, body)
        found = json.loads(body)
        assert found["marker"] == "application"
        return dict(found["headers"])


@contextmanager
def house(folder: Path, make_fed_gate: Any, shipped: str, settings: str, handler: Any = Application) -> Iterator[House]:
    """Run an application and a fed gate; Envoy is the test's to start."""
    program("envoy")
    server = socketserver.ThreadingTCPServer if issubclass(handler, Echo) else ThreadingHTTPServer
    with contextlib.ExitStack() as stack:
        application = stack.enter_context(server(("127.0.0.1", 0), handler))
        thread = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        stack.callback(thread.join)
        stack.callback(application.shutdown)
        gate = make_fed_gate(folder, settings.format(folder=folder), RISKS)
        stack.callback(gate.stop_feed)
        stack.callback(gate.stop)
        gate.start_feed()
        gate.start()
        built = House(folder, gate, shipped, application.server_address)
        try:
            yield built
        finally:
            if built.envoy is not None:
                built.envoy.terminate()
                built.envoy.wait(20)


class Echo(socketserver.BaseRequestHandler):
    """Says back what it hears."""

    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@pytest.fixture(scope="module", params=["envoy-http.yaml", "envoy-grpc.yaml"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make_fed_gate: Any
) -> Iterator[House]:
    """An application behind Envoy, which asks by HTTP or by gRPC."""
    with house(tmp_path_factory.mktemp("guarded"), make_fed_gate, request.param, SETTINGS) as built:
        built.start_envoy()
        yield built


def test_the_good_pass_and_the_attacker_does_not(guarded: House) -> None:
    told = guarded.told("/shop?x=1")
    assert told["x-ostiary-verdict"] == "allow"
    assert guarded.record(told["x-ostiary-decision"]).entity.id == GOOD
    status, headers, body = guarded.get("/shop", ATTACKER)
    assert status == 403
    assert b"application" not in body
    assert int(headers["retry-after"]) > 0
    assert not {"x-ostiary-verdict", "x-ostiary-reasons"} & set(headers)
    decision = guarded.record(headers["x-ostiary-decision"])
    assert (decision.verdict.value, decision.entity.id) == ("deny", ATTACKER)
    gateway = "envoy" if guarded.shipped == "envoy-http.yaml" else "envoy-grpc"
    assert re.search(rf'ostiary_gate_questions_total{{gateway="{gateway}"}} [1-9]', guarded.gate.page("/metrics")[1])
    guarded.logged(rf'{ATTACKER} .*"GET /shop" 403 .*verdict=deny decision={decision.id} reasons=\S+')
    guarded.logged(rf'{GOOD} .*"GET /shop\?x=1" 200 .*verdict=allow decision=[0-9a-f]{{32}}')


def test_bodies_reach_the_application_not_the_gate(guarded: House) -> None:
    status, _, body = guarded.get("/shop", method="POST", body="x" * 100_000)
    assert (status, json.loads(body)["body"]) == (200, "x" * 100_000)
    assert guarded.get("/shop", ATTACKER, method="POST", body="x" * 100_000)[0] == 403


def test_who_has_to_prove_themselves_is_told_so(guarded: House) -> None:
    status, headers, _ = guarded.get("/public", ATTACKER)
    assert (status, headers["www-authenticate"][:6]) == (401, "Bearer")
    assert guarded.get("/admin/")[0] == 401  # nobody without a proof
    assert guarded.told("/public/")["x-ostiary-verdict"] == "allow"


def test_the_throttled_are_told_to_the_application_and_slowed(guarded: House) -> None:
    told = guarded.told("/shop", SUSPECT)
    assert (told["x-ostiary-verdict"], told["x-ostiary-rate"]) == ("throttle", "65536")
    answers = [guarded.get("/shop", SUSPECT) for _ in range(60)]
    assert {answer[0] for answer in answers} == {200, 429}
    assert all("retry-after" in headers for status, headers, _ in answers if status == 429)


def test_observing_refuses_nobody_and_tells_the_verdict(guarded: House) -> None:
    assert guarded.told("/watched/", ATTACKER)["x-ostiary-verdict"] == "deny"
    guarded.logged(r'"GET /watched/" 200 .*verdict=deny')


FORGED = {
    "X-Real-IP": GOOD,
    "X-Forwarded-For": GOOD,
    "X-Envoy-External-Address": GOOD,
    "X-Envoy-Internal": "true",
    "X-Envoy-Original-Path": "/watched/",
    "X-Envoy-Auth-Failure-Mode-Allowed": "true",
    "X-Ostiary-Verdict": "allow",
    "X-Ostiary-Decision": "f" * 32,
    "X-Ostiary-Reasons": "none",
    "X-Ostiary-Error": "none",
    "X-Ostiary-Rate": "1",
    "X-Ostiary-Route": "/watched/",
    "X-Ostiary-Client-Verify": "SUCCESS",
    "X-Ostiary-Client-DN": "CN=admin",
    "X-Ostiary-Something": "else",
    "X-Original-Uri": "/watched/",
    "X-Original-Method": "GET",
    "X-Forwarded-Client-Cert": 'Subject="CN=admin";URI=spiffe://example.org/admin',
}


def test_forged_headers_help_nobody(guarded: House) -> None:
    assert guarded.get("/shop", ATTACKER, FORGED)[0] == 403
    assert guarded.get("/admin/", GOOD, FORGED)[0] == 401
    told = guarded.told("/shop", GOOD, {**FORGED, "X-Real-IP": ATTACKER, "X-Forwarded-For": ATTACKER})
    ours = {name: value for name, value in told.items() if "ostiary" in name}
    assert re.fullmatch("[0-9a-f]{32}", ours.pop("x-ostiary-decision"))
    assert ours == {"x-ostiary-verdict": "allow", "x-ostiary-reasons": "risk.low"}
    assert told["x-real-ip"] == GOOD
    assert not {"x-forwarded-client-cert", "x-envoy-auth-failure-mode-allowed"} & set(told)
    record = guarded.record(told["x-ostiary-decision"])
    assert record.entity.id == GOOD
    assert record.document["subject"]["identity"] == ""


def test_names_with_underscores_are_refused(guarded: House) -> None:
    assert guarded.get("/shop", headers={"X_Ostiary_Verdict": "allow"})[0] == 400


def raw(built: House, target: str, source: str = GOOD, extra: str = "") -> tuple[int, str]:
    """Send a request whose target no library spoils; return status and what the application saw of the path."""
    with socket.create_connection(("127.0.0.1", built.port), 10, source_address=(source, 0)) as asked:
        asked.sendall(f"GET {target} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{extra}\r\n".encode())
        answer = b"".join(iter(lambda: asked.recv(65_536), b""))
    status = int(answer.split()[1])
    return status, json.loads(answer.partition(b"\r\n\r\n")[2])["path"] if status == 200 else ""


SAME = [
    "/x/../admin/", "//admin/", "/%61dmin/", "/x/%2e%2e/admin/", "/./admin/", "/watched/../admin/", "/admin;x=1/",
    "/admin/?/../watched/", "/watched/%2E%2e/admin", "/admin/#/../../watched",
]  # fmt: skip
ODD = [
    "/watched//..//admin/", "/watched%2f..%2fadmin/", "/watched/..%5cadmin/", "/watched/%252e%252e/admin/",
    "/watched%00/../admin/", "/watched\\..\\admin/", "/%2fadmin", "/watched/..;/admin/", "/../admin/",
]  # fmt: skip


@pytest.mark.parametrize("target", SAME + ODD)
def test_no_spelling_of_a_path_chooses_another_route(guarded: House, target: str) -> None:
    """/admin/ wants a proof that nobody here has, /watched/ lets everybody through: so nobody may see /admin/."""
    status, path = raw(guarded, target)
    if status == 200:
        assert path.startswith("/watched/"), path
    else:
        assert status in (400, 401, 503), status
    if target in SAME:
        assert status in (400, 401), status


def test_the_application_gets_the_spelling_that_was_asked_about(guarded: House) -> None:
    assert raw(guarded, "/watched/a/../%62//./c?x=%2e%2e") == (200, "/watched/b/c?x=%2e%2e")


def test_an_absolute_target_is_its_path(guarded: House) -> None:
    assert raw(guarded, "http://shop/watched/../admin/")[0] == 401


def test_a_second_request_in_the_first_ones_body_is_none(guarded: House) -> None:
    smuggled = "GET /watched/ HTTP/1.1\r\nhost: shop\r\n\r\n"
    for extra in (
        f"content-length: {len(smuggled)}\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "content-length: 1\r\ncontent-length: 2\r\n",
    ):
        assert raw(guarded, "/admin/", extra=extra)[0] in (400, 401, 501), extra


def test_websockets_pass_and_the_attackers_do_not(guarded: House) -> None:
    for source, expected in ((GOOD, b"101"), (ATTACKER, b"403")):
        with socket.create_connection(("127.0.0.1", guarded.port), 10, source_address=(source, 0)) as asked:
            asked.sendall(
                b"GET /shop HTTP/1.1\r\nhost: shop\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            answer = asked.recv(65_536)
            assert answer.split()[1] == expected
            if source == GOOD:
                assert (answer + asked.recv(65_536)).endswith(b"through")


def by_curl(built: House, source: str, *more: str) -> str:
    """Ask by HTTP/2; return status, version and what `grpc-status` says."""
    told = "%{http_code} %{http_version} %header{grpc-status}"
    command = [program("curl"), "-s", "--http2-prior-knowledge", "--interface", source, "-o", f"{built.folder}/answer"]
    done = subprocess.run(
        [*command, "-w", told, *more, f"http://127.0.0.1:{built.port}/shop"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return done.stdout.strip()


def test_http_2_is_asked_about_alike(guarded: House) -> None:
    assert by_curl(guarded, GOOD) == "200 2"
    assert json.loads((guarded.folder / "answer").read_text())["headers"]["x-ostiary-verdict"] == "allow"
    assert by_curl(guarded, ATTACKER) == "403 2"


def test_a_grpc_client_is_refused_in_its_own_way(guarded: House) -> None:
    assert by_curl(guarded, ATTACKER, "-H", "content-type: application/grpc", "-H", "te: trailers") == "200 2 7"


def test_a_gate_that_hangs_is_not_waited_for(guarded: House) -> None:
    with guarded.frozen():
        assert guarded.get("/shop")[0] == 503
        told = guarded.told("/open/", ATTACKER, FORGED)
        assert "x-ostiary-verdict" not in told
        assert told["x-envoy-auth-failure-mode-allowed"] == "true"
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")
    assert guarded.get("/open/", ATTACKER)[0] == 403


def test_a_gate_that_is_killed_fails_as_declared_and_recovers(guarded: House) -> None:
    guarded.gate.stop(signal.SIGKILL)
    status, _, body = guarded.get("/shop")
    assert status == 503
    assert b"application" not in body
    assert "x-ostiary-verdict" not in guarded.told("/open/", ATTACKER, FORGED)
    guarded.gate.start()
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")
    assert guarded.get("/open/", ATTACKER)[0] == 403


def test_a_gate_that_cannot_decide_fails_as_declared(guarded: House) -> None:
    """One that never heard of an engine knows no policy."""
    gate = guarded.gate
    gate.stop()
    gate.stop_feed()
    (guarded.folder / "gate" / "snapshot").unlink()
    gate.start(ready=False)
    try:
        until(lambda: guarded.told("/open/", ATTACKER).get("x-ostiary-error") == "policy.unavailable", "what is wrong")
        assert guarded.get("/shop")[0] == 503
        assert guarded.get("/watched/", ATTACKER)[0] == 200
    finally:
        gate.start_feed()
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")


def test_sigterm_ends_it_in_order(guarded: House) -> None:
    assert guarded.gate.stop() == 0
    assert not (guarded.folder / "grpc.sock").exists()
    guarded.gate.start()
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")


def test_envoy_complains_of_nothing(guarded: House) -> None:
    assert not re.findall(r"^\[.*\]\[(?:warning|error|critical)\].*", guarded.log(), re.MULTILINE)


def certificates(folder: Path) -> None:
    """Write an authority, a certificate of a server and two of clients, one of them by nobody known."""
    now = datetime.datetime.now(datetime.UTC)

    def issue(name: str, issuer: tuple[x509.Name, Any] | None, *names: x509.GeneralName) -> tuple[x509.Name, Any]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
        )
        by, signing = issuer or (subject, key)
        builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        builder = builder.add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(signing, hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return subject, key

    authority = issue("authority", None)
    issue("server", authority, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    issue("alice", authority)
    issue("shop", authority, x509.UniformResourceIdentifier("spiffe://example.org/shop"), x509.DNSName("shop.example"))
    issue("named", authority, x509.DNSName("named.example"))
    stranger = issue("stranger", None)
    issue("mallory", stranger, x509.UniformResourceIdentifier("spiffe://example.org/shop"))


def with_tls(folder: Path) -> Callable[[str], str]:
    """Return what takes the marks of TLS away from a shipped configuration."""

    def change(text: str) -> str:
        text, files = text.replace("#|", "").replace("/etc/envoy/clients-ca.pem", f"{folder}/authority.pem"), "server"
        return text.replace("/etc/envoy/server", f"{folder}/{files}")

    return change


def as_client(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=f"{folder}/authority.pem")
    if name:
        context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    return context


@pytest.fixture(scope="module", params=["envoy-http.yaml", "envoy-grpc.yaml"])
def encrypted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make_fed_gate: Any
) -> Iterator[House]:
    """The same with TLS and certificates of clients."""
    folder = tmp_path_factory.mktemp("encrypted")
    certificates(folder)
    with house(folder, make_fed_gate, request.param, SETTINGS) as built:
        built.start_envoy(with_tls(folder))
        yield built


def identified(built: House, name: str, path: str = "/shop", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Ask as the holder of a certificate; return status and the identity in the decision's record."""
    context = as_client(built.folder, name)
    connection = http.client.HTTPSConnection("127.0.0.1", built.port, timeout=10, context=context)
    with closing(connection):
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        told = json.loads(body)["headers"] if answer.status == 200 else dict(answer.getheaders())
        assert "admin" not in told.get("x-forwarded-client-cert", "")
        subject = built.record(told["x-ostiary-decision"]).document["subject"]
        assert (subject["proof"] == "mtls") == bool(subject["identity"])
        return answer.status, subject["identity"]


@pytest.mark.parametrize(
    ("name", "identity"),
    [("alice", "CN=alice,O=Example"), ("shop", "spiffe://example.org/shop"), ("named", "CN=named,O=Example"), ("", "")],
)
def test_a_client_certificate_is_the_identity(encrypted: House, name: str, identity: str) -> None:
    assert identified(encrypted, name) == (200, identity)
    assert identified(encrypted, name, "/admin/") == (200 if identity else 401, identity)


def test_a_forged_certificate_header_names_nobody(encrypted: House) -> None:
    forged = {"X-Forwarded-Client-Cert": 'Subject="CN=admin,O=Example";URI=spiffe://example.org/admin'}
    assert identified(encrypted, "", "/admin/", forged) == (401, "")
    assert identified(encrypted, "alice", "/admin/", forged) == (200, "CN=alice,O=Example")


def test_a_certificate_that_nobody_known_issued_gets_no_answer(encrypted: House) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        identified(encrypted, "mallory")


TCP = """
mode = "enforce"
grpc = "unix:{folder}/grpc.sock"
[gate.routes."/database/"]
sensitivity = "normal"
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, make_fed_gate: Any) -> Iterator[House]:
    """Something that is not HTTP behind Envoy."""
    with house(tmp_path_factory.mktemp("database"), make_fed_gate, "envoy-tcp.yaml", TCP, Echo) as built:
        built.start_envoy()
        yield built


def said(built: House, source: str = GOOD, context: ssl.SSLContext | None = None) -> bytes:
    """Say something and return what comes back; nothing where the connection is closed."""
    asked = socket.create_connection(("127.0.0.1", built.port), 10, source_address=(source, 0))
    if context is not None:
        asked = context.wrap_socket(asked, server_hostname="127.0.0.1")
    with asked, contextlib.suppress(ConnectionError):
        asked.sendall(b"select 1")
        return asked.recv(100)
    return b""


def test_the_attackers_connection_is_closed(database: House) -> None:
    assert said(database) == b"select 1"
    assert said(database, ATTACKER) == b""
    assert said(database, SUSPECT) == b"select 1"
    (denied,) = until(
        lambda: [one for one in database.gate.taken if one.entity.id == ATTACKER], "the record of the refusal"
    )
    assert (denied.document["action"], denied.verdict.value) == ("connect", "deny")
    resource = denied.document["resource"]
    assert (resource["kind"], resource["name"]) == ("network", "/database/")
    database.logged(rf"{GOOD} .*verdict=allow decision=[0-9a-f]{{32}} reasons=risk.low")
    database.logged(rf"{ATTACKER} .*verdict=deny decision={denied.id}")


def test_no_connection_is_let_through_without_the_gate(database: House) -> None:
    with database.frozen():
        assert said(database) == b""
    until(lambda: said(database) == b"select 1", "an answer again")
    database.gate.stop(signal.SIGKILL)
    assert said(database) == b""
    database.gate.start()
    until(lambda: said(database) == b"select 1", "an answer again")
    assert said(database, ATTACKER) == b""


def test_the_certificate_of_a_connection_is_the_identity(tmp_path: Path, make_fed_gate: Any) -> None:
    certificates(tmp_path)
    with house(tmp_path, make_fed_gate, "envoy-tcp.yaml", TCP, Echo) as built:
        built.start_envoy(with_tls(tmp_path))
        assert said(built, context=as_client(tmp_path, "shop")) == b"select 1"
        (decision,) = until(lambda: built.gate.taken, "the record")
        assert decision.document["subject"]["identity"] == "spiffe://example.org/shop"
        with contextlib.suppress(ssl.SSLError):
            assert said(built, context=as_client(tmp_path, "mallory")) == b""
