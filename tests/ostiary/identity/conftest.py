"""Issuers, authorities and questions for gates that have to find out who asks."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jws
from joserfc.jwk import ECKey

DAY = timedelta(days=1)
ROOT = Path(__file__).parents[3]


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> Any:
    """Return what is found once it is; fail where it never comes about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"it never came about: {what}")


class Issuer:
    """Signs tokens with a key of its own."""

    name = "https://id.example"

    def __init__(self, kid: str = "one") -> None:
        self.kid, self.key = kid, ECKey.generate_key("P-256", {"kid": kid})

    def key_set(self) -> bytes:
        return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

    def token(self, typ: str = "JWT", **claims: Any) -> str:
        now = int(time.time())
        told = {"iss": self.name, "sub": "alice", "aud": "app", "iat": now, "exp": now + 600} | claims
        header = {"alg": "ES256", "kid": self.kid, "typ": typ}
        given = {name: value for name, value in told.items() if value is not None}
        return jws.serialize_compact(header, json.dumps(given), self.key, algorithms=["ES256"])

    def bearer(self, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**claims)}"}


class Authority:
    """A certificate authority in memory."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ours")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            self._builder(self.name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA256())
        )

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(self.now - DAY).not_valid_after(self.now + DAY)

    def issue(
        self, uri: str, key: ec.EllipticCurvePrivateKey | None = None,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> x509.Certificate:  # fmt: skip
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        return (
            self._builder(name, key or ec.generate_private_key(ec.SECP256R1()))
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, SHA256())
        )

    def crl(self, *revoked: x509.Certificate) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(self.now - DAY).next_update(self.now + DAY)
        for item in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(item.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.now - DAY).build())
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)


def shown(certificate: x509.Certificate) -> dict[str, str]:
    """Return what a gateway sets where a client shows a certificate."""
    passed = quote(certificate.public_bytes(Encoding.PEM))
    subject = certificate.subject.rfc4514_string()
    return {"X-Ostiary-Client-Verify": "SUCCESS", "X-Ostiary-Client-DN": subject, "X-Ostiary-Client-Cert": passed}


@dataclass
class Asking:
    """Asks a gate, and says whom the gate took to ask."""

    gate: Any
    """A `FedGate`."""
    asked: int = field(default=0)

    def ask(self, headers: dict[str, str], address: str = "192.0.2.7", route: str = "/") -> tuple[int, dict[str, str]]:
        given = {"X-Real-IP": address, "X-Original-Method": "GET", "X-Ostiary-Route": route, **headers}
        with closing(http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=10)) as connection:
            connection.request("GET", "/auth-request", headers=given)
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def document(self, headers: dict[str, str], address: str = "192.0.2.7", route: str = "/") -> Any:
        """Return the document that was decided on (JSON values)."""
        number = self.ask(headers, address, route)[1]["x-ostiary-decision"]
        taken = self.gate.taken
        return until(lambda: next((row.document for row in taken if row.id == number), None), "the record")

    def who(self, headers: dict[str, str], address: str = "192.0.2.7") -> tuple[str, str]:
        subject = self.document(headers, address)["subject"]
        return subject["identity"], subject["proof"]

    def refused(self) -> dict[str, int]:
        """Return how many credentials proved nothing, by code."""
        line = r'^ostiary_gate_credentials_refused_total\{code="(.+)"\} (.+)$'
        found = re.findall(line, self.gate.page("/metrics")[1], re.MULTILINE)
        return {code: int(float(count)) for code, count in found if float(count)}


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Return everything here that is no fixture: pytest's import mode lets no test import it."""
    return SimpleNamespace(Asking=Asking, Authority=Authority, Issuer=Issuer, issuers=issuers, shown=shown, until=until)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def key_file(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(issuer.key_set())
    return path


def issuers(keys: object, **more: object) -> str:
    """Return the settings that believe the issuer."""
    lines = {"keys": str(keys), "audience": "app", "algorithm": "ES256", **more}
    told = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    return f'[identity.issuers."{Issuer.name}"]\n{told}'


class Application(BaseHTTPRequestHandler):
    """Says that it was reached."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the application")

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def _behind_nginx(gate: Any, folder: Path, tls: str = "") -> Iterator[int]:
    """Run nginx with the configuration that ships before a gate; give its port. `tls` are lines for its server."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not program:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("nginx is not installed: its configuration is NOT tested")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as application:
        thread = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        text = (ROOT / "deploy" / "nginx" / "ostiary.conf").read_text()
        for shipped, ours in [
            ("server 127.0.0.1:8771;", f"server 127.0.0.1:{gate.port};"),
            ("server 127.0.0.1:8000;", f"server 127.0.0.1:{application.server_port};"),
            ("listen 8080;", f"listen 127.0.0.1:{port}{' ssl' if tls else ''};\n{tls}"),
        ]:
            assert shipped in text
            text = text.replace(shipped, ours)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        user = "user root;\n" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"daemon off;\n{user}pid {folder}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{text}}}\n"
        )
        process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
        try:
            until(lambda: process.poll() is not None or _listens(port), "nginx")
            yield port
        finally:
            process.terminate()
            process.wait(10)
            application.shutdown()
            thread.join()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def behind_nginx() -> Callable[..., Any]:
    """Return what runs nginx before a gate."""
    return _behind_nginx
