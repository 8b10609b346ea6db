"""Real Envoy with the configurations that we ship, a real gate behind it, asked by HTTP, by gRPC, and about connections."""

import contextlib
import datetime
import ipaddress
import json
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

sys.path.insert(0, str(Path(__file__).parent))
from envoy_harness import ATTACKER, GOOD, ROOT, SUSPECT, House, free_port, house, program, until  # noqa: E402

pytestmark = pytest.mark.server
SHIPPED = ROOT / "deploy" / "envoy"
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


def start(built: House, name: str, **more: str) -> None:
    """Start Envoy by a shipped configuration."""
    gate = built.grpc_socket if name != "envoy-http.yaml" else built.gate_socket
    replaced = {
        "0.0.0.0, port_value: 8080": f"127.0.0.1, port_value: {built.port}",
        "127.0.0.1, port_value: 9901": f"127.0.0.1, port_value: {built.admin_port}",
        "/run/ostiary/gate.sock" if name == "envoy-http.yaml" else "/run/ostiary/grpc.sock": str(gate),
        "127.0.0.1, port_value: 8000": f"127.0.0.1, port_value: {built.application.server_port}",
    }
    built.start_envoy(SHIPPED / name, {**replaced, **more})


@pytest.fixture(scope="module", params=["envoy-http.yaml", "envoy-grpc.yaml"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An application behind Envoy, which asks by HTTP or by gRPC."""
    program("envoy")
    folder = tmp_path_factory.mktemp("guarded")
    with house(folder, SETTINGS.format(folder=folder)) as built:
        start(built, request.param)
        built.asks = request.param
        yield built


def logged(built: House, pattern: str) -> None:
    """Wait for a line of Envoy's access log."""
    until(lambda: re.search(pattern, built.log("envoy")), f"a line of the access log like {pattern!r}")


def test_the_good_pass_and_the_attacker_does_not(guarded: House) -> None:
    told = guarded.told("/shop?x=1")
    assert told["x-ostiary-verdict"] == "allow"
    assert guarded.engine.record(told["x-ostiary-decision"]).entity.id == GOOD
    status, headers, body = guarded.get("/shop", ATTACKER)
    assert status == 403
    assert b"application" not in body
    assert int(headers["retry-after"]) > 0
    assert not {"x-ostiary-verdict", "x-ostiary-reasons"} & set(headers)
    decision = guarded.engine.record(headers["x-ostiary-decision"])
    assert (decision.verdict.value, decision.entity.id) == ("deny", ATTACKER)
    gateway = "envoy" if guarded.asks == "envoy-http.yaml" else "envoy-grpc"
    assert decision.document["environment"]["gateway"] == gateway
    assert guarded.counted(f'ostiary_gate_questions_total{{gateway="{gateway}"}}') >= 2
    logged(guarded, rf'{ATTACKER} .*"GET /shop" 403 .*verdict=deny decision={decision.id} reasons=\S+')
    logged(guarded, rf'{GOOD} .*"GET /shop\?x=1" 200 .*verdict=allow decision=[0-9a-f]{{32}}')


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
    logged(guarded, r'"GET /watched/" 200 .*verdict=deny')


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
    record = guarded.engine.record(told["x-ostiary-decision"])
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


SAME = ["/x/../admin/", "//admin/", "/%61dmin/", "/x/%2e%2e/admin/", "/./admin/", "/watched/../admin/", "/admin;x=1/",
        "/watched//..//admin/", "/admin/?/../watched/", "/watched/%2E%2e/admin", "/admin/#/../../watched"]  # fmt: skip
ODD = ["/watched%2f..%2fadmin/", "/watched/..%5cadmin/", "/watched/%252e%252e/admin/", "/watched%00/../admin/", "/watched\\..\\admin/",
       "/%2fadmin", "/watched/..;/admin/", "/../admin/"]  # fmt: skip


@pytest.mark.parametrize("target", SAME + ODD)
def test_no_spelling_of_a_path_chooses_another_route(guarded: House, target: str) -> None:
    """/admin/ wants a proof that nobody here has, /watched/ lets everybody through: so nobody may see /admin/."""
    status, path = raw(guarded, target)
    if status == 200:
        assert path.startswith("/watched/") and "admin" not in path, path
    else:
        assert status in (400, 401, 503), status
    if target in SAME:
        assert status in (400, 401), status


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


def test_http_2_is_asked_about_alike(guarded: House) -> None:
    def curl(source: str) -> str:
        return subprocess.run(
            [program("curl"), "-s", "--http2-prior-knowledge", "--interface", source, "-o", f"{guarded.folder}/answer",
             "-w", "%{http_code} %{http_version}", f"http://127.0.0.1:{guarded.port}/shop"],
            capture_output=True, text=True, check=True, timeout=20,
        ).stdout  # fmt: skip

    assert curl(GOOD) == "200 2"
    assert json.loads((guarded.folder / "answer").read_text())["headers"]["x-ostiary-verdict"] == "allow"
    assert curl(ATTACKER) == "403 2"


def test_a_gate_that_hangs_is_not_waited_for(guarded: House) -> None:
    with guarded.frozen():
        assert guarded.get("/shop")[0] == 503
        told = guarded.told("/open/", ATTACKER, FORGED)
        assert "x-ostiary-verdict" not in told
        assert told["x-envoy-auth-failure-mode-allowed"] == "true"
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")
    assert guarded.get("/open/", ATTACKER)[0] == 403


def test_a_gate_that_is_killed_fails_as_declared_and_recovers(guarded: House) -> None:
    guarded.stop_gate()
    status, _, body = guarded.get("/shop")
    assert status == 503
    assert b"application" not in body
    assert "x-ostiary-verdict" not in guarded.told("/open/", ATTACKER, FORGED)
    guarded.start_gate()
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")
    assert guarded.get("/open/", ATTACKER)[0] == 403


def test_a_gate_that_cannot_decide_fails_as_declared(guarded: House) -> None:
    """A gate without an engine since its first start knows no policy: it can tell nobody anything."""
    guarded.stop_gate()
    guarded.engine.refuse()
    for path in (guarded.folder / "state" / "gate").glob("snapshot*"):
        path.unlink()
    guarded.start_gate(well=False)
    try:
        assert guarded.get("/shop")[0] == 503
        told = guarded.told("/open/", ATTACKER)
        assert told.get("x-ostiary-error") == "policy.unavailable"
        assert guarded.get("/watched/", ATTACKER)[0] == 200
    finally:
        guarded.engine.accept()
    until(lambda: guarded.get("/shop")[0] == 200, "an answer again")
