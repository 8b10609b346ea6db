"""Read a server's certificate (RFC 5280): names, validity, the kind of key, and whether it signed itself.

Guarantees: bounded, never raises. Names are read even of a certificate that is cut or that a strict reader refuses, as
`CN=...,O=...` of at most `MAX_NAME` characters; everything else only of a whole one, by `cryptography`.
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

MAX_NAME: Final = 512
MAX_VERIFIED_BITS: Final = 4096
_PARTS: Final = {
    b"\x55\x04\x03": "CN", b"\x55\x04\x06": "C", b"\x55\x04\x07": "L", b"\x55\x04\x08": "ST", b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2262, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says; "" and 0 are unknown."""

    subject: str = ""
    issuer: str = ""
    not_before: int = 0
    """ns since the epoch, within 1970 to 2262."""
    not_after: int = 0
    self_signed: bool = False
    """Its own key made its signature."""
    key: str = ""
    """rsa-2048, ec-secp256r1, ed25519 ..."""


def read(data: bytes) -> Certificate:
    """Return what the DER bytes of a certificate say, which may be cut."""
    issuer, subject = _names(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers that break the standard; it is theirs, not ours
            whole = x509.load_der_x509_certificate(data)
            return Certificate(
                subject, issuer, _instant(whole.not_valid_before_utc), _instant(whole.not_valid_after_utc),
                _signed_itself(whole), _key(whole),
            )  # fmt: skip
    except (ValueError, TypeError, UnsupportedAlgorithm, OverflowError, x509.InvalidVersion):
        return Certificate(subject, issuer)


def _instant(moment: datetime) -> int:
    passed = min(max(moment, _EPOCH), _LATEST) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "unknown"
    match key:
        case rsa.RSAPublicKey():
            return f"rsa-{key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ec-{key.curve.name}"
        case dsa.DSAPublicKey():
            return f"dsa-{key.key_size}"
        case _:
            return type(key).__name__.removeprefix("_").removesuffix("PublicKey").lower()


def _signed_itself(certificate: x509.Certificate) -> bool:
    if certificate.issuer != certificate.subject:
        return False
    try:
        key = certificate.public_key()
        if getattr(key, "key_size", 0) > MAX_VERIFIED_BITS:  # it would take long; names must do
            return True
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _item(data: bytes, at: int) -> tuple[int, int, int]:
    """Return (tag, where its content begins, where it ends) of the DER item at `at`; tag 0 where there is none."""
    if at + 2 > len(data):
        return 0, at, at
    tag, size = data[at], data[at + 1]
    begin = at + 2
    if size & 0x80:
        count = size & 0x7F
        if count == 0 or count > 3 or begin + count > len(data):
            return 0, at, at
        size = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    return tag, begin, begin + size


def _names(certificate: bytes) -> tuple[str, str]:
    """Return (issuer, subject) of a certificate (RFC 5280 4.1), which may be cut."""
    _, at, _ = _item(certificate, 0)
    _, at, _ = _item(certificate, at)
    tag, _, end = _item(certificate, at)
    if tag == 0xA0:  # the version
        at = end
    places = []
    for _ in range(5):  # serial number, algorithm, issuer, validity, subject
        tag, begin, end = _item(certificate, at)
        if tag == 0:
            break
        places.append((begin, end))
        at = end
    issuer = _name(certificate[slice(*places[2])]) if len(places) > 2 else ""
    subject = _name(certificate[slice(*places[4])]) if len(places) > 4 and places[4][1] <= len(certificate) else ""
    return issuer, subject


def _name(sequence: bytes) -> str:
    parts, at = [], 0
    for _ in range(16):
        tag, begin, end = _item(sequence, at)
        if tag != 0x31:
            break
        _, inner, _ = _item(sequence, begin)
        _, key, key_end = _item(sequence, inner)
        _, value, value_end = _item(sequence, key_end)
        label = _PARTS.get(sequence[key:key_end])
        if label:
            text = sequence[value:value_end].decode("utf-8", "backslashreplace")
            parts.append(f"{label}={text}" if text.isprintable() else f"{label}=?")
        at = end
    return ",".join(parts)[:MAX_NAME]
