"""Certificates: what gateways say of them, and our own check where authorities are named."""

import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import CredentialError, DialectError, IdentityError
from policy.gateways.ext_authz import certificate as read_xfcc
from policy.identity.certificates import Certificates, read_certificate, subject_name, uri_name

VECTORS = Path(__file__).parents[2] / "vectors" / "identity"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
NOW_S = NOW.timestamp()
DAY = timedelta(days=1)


class Authority:
    """A certificate authority in memory."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            self._builder(self.name, self.key, NOW - DAY, NOW + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA256())
        )

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)

    def issue(
        self, uri: str = "spiffe://example.org/alice", begins: datetime = NOW - DAY, ends: datetime = NOW + DAY,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> x509.Certificate:  # fmt: skip
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex, ample"),
                x509.NameAttribute(NameOID.COMMON_NAME, "alice"),
            ]
        )
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            self._builder(name, ec.generate_private_key(ec.SECP256R1()), begins, ends)
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, SHA256())
        )

    def crl(self, *revoked: x509.Certificate, ends: datetime = NOW + DAY) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(NOW - DAY).next_update(ends)
        )
        for item in revoked:
            entry = (
                x509.RevokedCertificateBuilder().serial_number(item.serial_number).revocation_date(NOW - DAY).build()
            )
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def checked(authority: Authority, text: str, *crls: bytes, at: float = NOW_S) -> tuple[str, str]:
    return Certificates(pem(authority.certificate), crls).names("CN=forged", "spiffe://evil/x", text, at)


@pytest.mark.parametrize("case", json.loads((VECTORS / "subjects.json").read_text()), ids=lambda case: case["text"])
def test_one_spelling_of_a_subject(case: dict[str, str | None]) -> None:
    assert case["text"] is not None
    if case["name"] is None:
        with pytest.raises(CredentialError) as caught:
            subject_name(case["text"])
        assert caught.value.code == "identity.certificate-name"
    else:
        assert subject_name(case["text"]) == case["name"] == subject_name(case["name"])


@pytest.mark.parametrize("case", json.loads((VECTORS / "xfcc.json").read_text()), ids=lambda case: case["header"])
def test_what_envoy_says(case: dict[str, list[str] | str]) -> None:
    header = str(case["header"])
    if case["found"] is None:
        with pytest.raises(DialectError):
            read_xfcc(header)
    else:
        assert list(read_xfcc(header)) == case["found"]


@pytest.mark.parametrize(
    "uri", ["spiffe://", "spiffe://a b/c", "spiffe:x", "SPIFFE://a/b", "spiffe://a//b", "spiffe://a/../b?x"]
)
def test_what_pretends_to_be_a_spiffe_id(uri: str) -> None:
    with pytest.raises(CredentialError):
        uri_name(uri)


def test_each_way_in_which_gateways_pass_a_certificate(authority: Authority) -> None:
    issued = authority.issue()
    text = pem(issued).decode()
    der = base64.b64encode(issued.public_bytes(Encoding.DER)).decode()
    ways = [quote(text, safe=""), quote(text), text.replace("\n", " "), der, der.replace("=", "%3D")]
    assert {checked(authority, way) for way in ways} == {("CN=alice,O=Ex\\, ample", "spiffe://example.org/alice")}


def test_without_authorities_the_gateways_word_counts() -> None:
    assert Certificates().names("cn=alice, o=x", "", "", NOW_S) == ("CN=alice,O=x", "")
    assert Certificates().names("", "spiffe://a/b", "", NOW_S) == ("", "spiffe://a/b")


def failure(authority: Authority, text: str, *crls: bytes, at: float = NOW_S) -> str:
    with pytest.raises(CredentialError) as caught:
        checked(authority, text, *crls, at=at)
    return caught.value.code


def test_what_our_own_check_refuses(authority: Authority) -> None:
    good = authority.issue()
    text = quote(pem(good).decode())
    assert checked(authority, text, authority.crl(authority.issue()))
    assert failure(authority, "") == "identity.certificate-missing"
    assert failure(authority, "bm90aGluZw==") == "identity.certificate"
    assert failure(authority, text, authority.crl(good)) == "identity.certificate-revoked"
    assert failure(authority, text, authority.crl(ends=NOW - timedelta(minutes=1))) == "identity.crl-old"
    assert failure(authority, text, at=NOW_S + 2 * 86_400) == "identity.certificate-chain"
    early = quote(pem(authority.issue(begins=NOW + timedelta(hours=1))).decode())
    server = quote(pem(authority.issue(purpose=ExtendedKeyUsageOID.SERVER_AUTH)).decode())
    stranger = quote(pem(Authority("ours").issue()).decode())
    broken = quote(pem(authority.issue(uri="spiffe://a b")).decode())
    for other in (early, server, stranger):
        assert failure(authority, other) == "identity.certificate-chain"
    assert failure(authority, broken) == "identity.spiffe"


def test_what_was_checked_is_checked_again_after_a_minute(authority: Authority) -> None:
    text = quote(pem(authority.issue(ends=NOW + timedelta(seconds=30))).decode())
    known = Certificates(pem(authority.certificate))
    assert known.names("", "", text, NOW_S)
    assert known.names("", "", text, NOW_S + 59)
    with pytest.raises(CredentialError):
        known.names("", "", text, NOW_S + 61)


def test_lists_and_authorities_that_cannot_be_used(authority: Authority) -> None:
    ours = pem(authority.certificate)
    for wrong in ((b"nonsense", ()), (ours, (b"nonsense",)), (ours, (Authority("ours").crl(),))):
        with pytest.raises(IdentityError):
            Certificates(wrong[0], wrong[1])


@given(st.text(max_size=200))
def test_whatever_a_gateway_passes_is_a_typed_error_or_a_name(text: str) -> None:
    for read in (subject_name, uri_name, read_certificate, read_xfcc):
        with contextlib.suppress(CredentialError, DialectError):
            read(text)
