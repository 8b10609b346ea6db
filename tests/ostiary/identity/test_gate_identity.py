"""A real gate finds out who asks: tokens, API keys, certificates, networks; and keeps to itself what they were."""

import base64
import hmac
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from policy.identity.apikeys import digest

Make = Callable[..., Any]
KEY = "ostk_" + "k" * 43


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def confused(issuer: Any) -> str:
    """Return a token whose secret is the public key, if anybody takes it for one (RFC 8725, section 2.1)."""
    header, payload, _ = issuer.token().split(".")
    head = json.loads(base64.urlsafe_b64decode(header + "==")) | {"alg": "HS256"}
    signed = f"{encoded(json.dumps(head).encode())}.{payload}"
    return f"{signed}.{encoded(hmac.digest(issuer.key.as_pem(private=False), signed.encode(), sha256))}"


def unsigned(issuer: Any) -> str:
    payload = issuer.token().split(".")[1]
    return f"{encoded(json.dumps({'alg': 'none', 'kid': 'one'}).encode())}.{payload}."


def test_a_token_names_who_asks_and_a_bad_one_nobody(fed_gate: Make, kit: Any, issuer: Any, key_file: Path) -> None:
    asking = kit.Asking(fed_gate(identity=kit.issuers(key_file)))
    subject = asking.document(issuer.bearer(groups=["staff"], device_compliant=False))["subject"]
    assert (subject["identity"], subject["proof"], subject["groups"]) == ("alice", "token", ["staff"])
    assert subject["posture"] == "poor"
    now = int(time.time())
    wrong = {
        "token-issuer": issuer.token(iss="https://other.example"),
        "token-audience": issuer.token(aud="another"),
        "token-expired": issuer.token(exp=now - 3600),
        "token-early": issuer.token(nbf=now + 3600),
        "token-type": issuer.token(typ="secevent+jwt"),
        "token-signature": kit.Issuer().token(),
        "token-key": kit.Issuer("two").token(),
        "token-algorithm": confused(issuer),
        "token-form": "not.a.token",
    }
    for code, token in wrong.items():
        assert asking.who({"Authorization": f"Bearer {token}"}) == ("", "none"), code
    assert asking.who({"Authorization": f"Bearer {unsigned(issuer)}"}) == ("", "none")
    assert asking.who({"Authorization": "Basic YWxpY2U6c2VjcmV0"}) == ("", "none")
    assert set(asking.refused()) == set(wrong)
    assert asking.refused()["token-algorithm"] == 2


def test_another_key_is_known_once_the_file_has_it(fed_gate: Make, kit: Any, issuer: Any, key_file: Path) -> None:
    asking = kit.Asking(fed_gate(identity=kit.issuers(key_file)))
    fresh = kit.Issuer("two")
    assert asking.who(fresh.bearer()) == ("", "none")
    key_file.write_text("{")
    kit.until(lambda: "stay in force" in asking.gate.log(), "a file that cannot be used")
    assert asking.who(issuer.bearer()) == ("alice", "token")
    key_file.write_bytes(fresh.key_set())
    kit.until(lambda: asking.who(fresh.bearer()) == ("alice", "token"), "the other key")
    assert asking.who(issuer.bearer()) == ("", "none")  # the key before is out of use


class _Keys(BaseHTTPRequestHandler):
    document = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.document)))
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def key_server(issuer: Any) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Keys", (_Keys,), {"document": issuer.key_set()}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetched_keys_go_on_when_their_issuer_is_gone(
    fed_gate: Make, kit: Any, issuer: Any, key_server: ThreadingHTTPServer
) -> None:
    asking = kit.Asking(fed_gate(identity=kit.issuers(f"http://127.0.0.1:{key_server.server_port}/jwks.json")))
    kit.until(lambda: asking.who(issuer.bearer()) == ("alice", "token"), "the keys that were fetched")
    key_server.shutdown()
    key_server.server_close()
    assert asking.gate.stop() == 0
    asking.gate.start()
    assert asking.who(issuer.bearer()) == ("alice", "token")
    kit.until(lambda: "1 keys that are known stay in force" in asking.gate.log(), "that the issuer is gone")
    assert asking.who(issuer.bearer(sub="bob")) == ("bob", "token")


def test_an_api_key_names_its_holder(fed_gate: Make, kit: Any) -> None:
    asking = kit.Asking(fed_gate(identity=f'[identity.keys.robot]\nsha256 = ["{digest(KEY)}"]\ngroups = ["ci"]\n'))
    subject = asking.document({"X-API-Key": KEY})["subject"]
    assert (subject["identity"], subject["proof"], subject["groups"]) == ("robot", "password", ["ci"])
    assert asking.who({"X-API-Key": "ostk_" + "x" * 43}) == ("", "none")
    assert asking.refused() == {"key": 1}


def test_certificates_are_checked_again_where_authorities_are_named(fed_gate: Make, kit: Any, tmp_path: Path) -> None:
    authority, other = kit.Authority(), kit.Authority()
    good, bad = authority.issue("spiffe://example.org/alice"), authority.issue("spiffe://example.org/mallory")
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    (tmp_path / "list.crl").write_bytes(authority.crl())
    names = f'ca = "{tmp_path}/ca.pem"\ncrls = ["{tmp_path}/list.crl"]\nmanaged = ["spiffe://example.org/laptop/"]\n'
    asking = kit.Asking(fed_gate(identity=names))
    for certificate, name in ((good, "spiffe://example.org/alice"), (bad, "spiffe://example.org/mallory")):
        assert asking.who(kit.shown(certificate)) == (name, "mtls")
    laptop = asking.document(kit.shown(authority.issue("spiffe://example.org/laptop/7")))["subject"]
    assert (laptop["identity"], laptop["device"]) == ("spiffe://example.org/laptop/7", "managed")
    assert asking.who(kit.shown(other.issue("spiffe://example.org/alice"))) == ("", "none")
    assert asking.who(kit.shown(good) | {"X-Ostiary-Client-Cert": ""}) == ("", "none")
    assert asking.who(kit.shown(good) | {"X-Ostiary-Client-Verify": "FAILED:unable"}) == ("", "none")
    assert asking.refused() == {"certificate-chain": 1, "certificate-missing": 1}
    (tmp_path / "list.crl").write_bytes(authority.crl(bad))
    kit.until(lambda: asking.who(kit.shown(bad)) == ("", "none"), "the revocation")
    assert asking.who(kit.shown(good))[1] == "mtls"
    assert "certificate-revoked" in asking.refused()
    (tmp_path / "ca.pem").write_bytes(b"")
    kit.until(lambda: "stay in force" in asking.gate.log(), "authorities that cannot be used")
    assert asking.who(kit.shown(good) | {"X-Ostiary-Client-Cert": ""}) == ("", "none")
    (worker,) = asking.gate.workers()
    os.kill(worker, signal.SIGKILL)  # the one that follows it has what was read before, and not the empty file
    kit.until(
        lambda: asking.gate.workers() not in ([], [worker]) and asking.gate.log().count("answers on") == 2, "another"
    )
    assert asking.who(kit.shown(good))[1] == "mtls"
    assert asking.who(kit.shown(good) | {"X-Ostiary-Client-Cert": ""}) == ("", "none")


def test_networks_have_names(fed_gate: Make, kit: Any) -> None:
    asking = kit.Asking(fed_gate(identity='networks = { "192.0.2.0/24" = "office", "192.0.2.9/32" = "door" }'))
    told = {address: asking.document({}, address)["environment"]["network"]
            for address in ("192.0.2.7", "192.0.2.9", "198.51.100.1")}  # fmt: skip
    assert told == {"192.0.2.7": "office", "192.0.2.9": "door", "198.51.100.1": ""}


WRONG = {
    "a key set that is not there": ("/nowhere/keys.json", "/nowhere/keys.json"),
    "an address without TLS": ("http://id.example/keys", "give a file or an https address"),
    "a network that is none": ('networks = { "office" = "10.0.0.0/8" }', "identity.networks"),
    "a key in the place of its digest": (f'[identity.keys.a]\nsha256 = ["{KEY}"]', "identity.keys.a"),
    "authorities that are not there": ('ca = "/nowhere/ca.pem"', "/nowhere/ca.pem"),
    "revocations without authorities": ('crls = ["/nowhere/list.crl"]', "identity.crls"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_that_cannot_be_used_begin_nothing_and_end_nothing(
    fed_gate: Make, kit: Any, issuer: Any, key_file: Path, wrong: str
) -> None:
    lines, told = WRONG[wrong]
    lines = lines if "=" in lines else kit.issuers(lines)
    gate = fed_gate(identity=lines, start=False)
    gate.start_feed()
    gate.start(ready=False)
    assert gate.process.wait(30) == 4
    assert told in gate.log() and "[identity.error]" in gate.log() and KEY not in gate.log()
    gate.configure(identity=kit.issuers(key_file))
    gate.start()
    asking = kit.Asking(gate)
    gate.configure(identity=lines)
    gate.process.send_signal(signal.SIGHUP)
    kit.until(lambda: "SIGHUP: the old settings stay in force" in gate.log(), "a refusal")
    assert asking.who(issuer.bearer()) == ("alice", "token")
    gate.configure(identity=kit.issuers(key_file, audience="another"))
    gate.process.send_signal(signal.SIGHUP)
    kit.until(lambda: asking.who(issuer.bearer(aud="another")) == ("alice", "token"), "the new settings")
    assert asking.who(issuer.bearer()) == ("", "none")


def test_no_credential_is_written_anywhere(
    fed_gate: Make, kit: Any, issuer: Any, key_file: Path, tmp_path: Path
) -> None:
    keys = f'[identity.keys.robot]\nsha256 = ["{digest(KEY)}"]\n'
    asking = kit.Asking(fed_gate('mode = "enforce"\n', {"192.0.2.66": 0.85}, identity=kit.issuers(key_file) + keys))
    kit.until(lambda: (tmp_path / "gate" / "snapshot").exists(), "a snapshot")
    good, bad = issuer.token(), kit.Issuer("two").token()
    brought = [
        {"Authorization": f"Bearer {good}", "Cookie": "session=s3cr3t-cookie"},
        {"Authorization": f"Bearer {bad}"}, {"X-API-Key": KEY}, {"X-API-Key": KEY[:-1] + "x"},
    ]  # fmt: skip
    for headers in brought:
        asking.document(headers)
        asking.document(headers, "192.0.2.66")
    asking.gate.stop_feed()
    for number, headers in enumerate(brought):  # these go to the disk
        asking.ask(headers, f"192.0.2.{number + 100}")
    asking.gate.stop()
    assert [path for path in (tmp_path / "gate").iterdir() if path.name.startswith("records-") and path.stat().st_size]
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    written[Path("records")] = repr(asking.gate.taken).encode()
    secrets = [good, good.split(".")[2], bad, bad.split(".")[2], KEY, KEY[:-1] + "x", "s3cr3t-cookie"]
    assert b"alice" in written[Path("records")]
    assert [(path, secret) for path, data in written.items() for secret in secrets if secret.encode() in data] == []
