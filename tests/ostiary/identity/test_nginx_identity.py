"""What a client brings reaches the gate through nginx, with the configuration that ships; what it forges doesn't."""

import http.client
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from policy.identity.apikeys import digest

pytestmark = pytest.mark.server

Make = Callable[..., Any]
KEY = "ostk_" + "k" * 43
ALICE = "spiffe://example.org/alice"


def files(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> tuple[str, str]:
    """Write a certificate and its key; return where they are."""
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def test_who_asks_is_known_behind_nginx(
    fed_gate: Make, behind_nginx: Make, kit: Any, issuer: Any, key_file: Path, tmp_path: Path
) -> None:
    authority, keys = kit.Authority(), [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    server = files(tmp_path, "server", keys[0], authority.issue("x:server", keys[0], ExtendedKeyUsageOID.SERVER_AUTH))
    client = files(tmp_path, "client", keys[1], authority.issue(ALICE, keys[1]))
    revoked = authority.issue(ALICE, keys[2])
    thief = files(tmp_path, "thief", keys[2], revoked)
    (tmp_path / "list.crl").write_bytes(authority.crl(revoked))
    told = f'ca = "{tmp_path}/ca.pem"\ncrls = ["{tmp_path}/list.crl"]\n'
    robot = f'[identity.keys.robot]\nsha256 = ["{digest(KEY)}"]\n'
    gate = fed_gate(identity=told + kit.issuers(key_file) + robot)
    tls = (
        f"ssl_certificate {server[0]}; ssl_certificate_key {server[1]};\n"
        f"ssl_client_certificate {tmp_path}/ca.pem; ssl_verify_client optional;\n"
    )
    with behind_nginx(gate, tmp_path, tls) as port:

        def who(headers: dict[str, str], shown: tuple[str, str] | None = None) -> str:
            context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            context.check_hostname = False
            if shown is not None:
                context.load_cert_chain(*shown)
            before = len(gate.taken)
            source = (f"127.0.0.{before + 2}", 0)  # another for each question, so that no decision is used again
            client_side = http.client.HTTPSConnection(
                "127.0.0.1", port, timeout=10, source_address=source, context=context
            )
            with closing(client_side) as connection:
                connection.request("GET", "/", headers=headers)
                assert connection.getresponse().read() == b"the application"
            kit.until(lambda: len(gate.taken) > before, "the record")
            return str(gate.taken[-1].document["subject"]["identity"])

        forged = {
            "X-Ostiary-Client-Verify": "SUCCESS",
            "X-Ostiary-Client-DN": "CN=admin",
            "X-Ostiary-Client-URI": ALICE,
        }
        assert who({}, client) == ALICE
        assert who(forged) == ""
        assert who({}, thief) == ""
        assert who({"X-API-Key": KEY}) == "robot"
        assert who(issuer.bearer(sub="bob")) == "bob"
        assert who(issuer.bearer(sub="bob"), client) == ALICE
        assert "certificate-revoked" in kit.Asking(gate).refused()
