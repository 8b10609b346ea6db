"""From what a gateway says of a client certificate to its holder.

Guarantees: without authorities of our own the gateway's word counts (the dialect saw to it that it is the gateway's);
with them nothing counts but a certificate that came along, was issued by one of them for clients, is in force, and is
on none of their revocation lists; a list that is out of date proves nothing of anybody. One holder has one name
whatever gateway tells of it (RFC 4514; the URI, such as a SPIFFE id, where there is one). What was found out is
remembered for a minute. The slash form of a subject is refused: two certificates can look the same in it.
"""

import base64
import binascii
import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from policy.errors import CredentialError, IdentityError

CACHED = 4_096
RECHECK_S = 60
_ARMOUR = re.compile(rb"-----[A-Z ]+-----|\s")
_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)*")
_RDN = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9.]+)\s*=\s*((?:[^,+\\]|\\.)*)([,+]|$)")
_NAMES = {NameOID.EMAIL_ADDRESS: "EMAILADDRESS", NameOID.SERIAL_NUMBER: "SERIALNUMBER"}


@lru_cache(16_384)
def subject_name(text: str) -> str:
    """Return a subject in one spelling, e.g. `CN=alice,O=Example`; raise `CredentialError`."""
    parts, at = [], 0
    while at < len(text):
        match = _RDN.match(text, at)
        if match is None:
            raise CredentialError(
                "identity.certificate-name", "the certificate's subject is not in the form of RFC 4514"
            )
        parts.append(f"{match[1].upper()}={match[2].rstrip()}{match[3]}")
        at = match.end()
    if not parts or parts[-1].endswith((",", "+")):
        raise CredentialError("identity.certificate-name", "the certificate's subject is not in the form of RFC 4514")
    return "".join(parts)


def uri_name(text: str) -> str:
    """Return a certificate's URI; raise `CredentialError` where it pretends to be a SPIFFE id and is none."""
    if text.lower().startswith("spiffe:") and not _SPIFFE.fullmatch(text):
        raise CredentialError("identity.spiffe", "the certificate's URI is no SPIFFE id")
    return text


def read_certificate(text: str) -> x509.Certificate:
    """Return a certificate as gateways pass it: URL-encoded PEM, or DER in base64; raise `CredentialError`."""
    try:
        return x509.load_der_x509_certificate(base64.b64decode(_ARMOUR.sub(b"", unquote_to_bytes(text)), validate=True))
    except (ValueError, binascii.Error, x509.InvalidVersion) as error:
        raise CredentialError("identity.certificate", "the certificate cannot be read") from error


def names_of(text: str) -> tuple[str, str]:
    """Return (subject, URI) of a certificate that the gateway verified and passed; raise `CredentialError`."""
    return _names_in(read_certificate(text))


def _names_in(certificate: x509.Certificate) -> tuple[str, str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    except (ValueError, x509.DuplicateExtension) as error:
        raise CredentialError("identity.certificate", "the certificate cannot be read") from error
    subject = certificate.subject.rfc4514_string(_NAMES)
    return (subject_name(subject) if subject else "", uri_name(uris[0]) if uris else "")


class Certificates:
    """Names the holders of certificates."""

    def __init__(self, authorities: bytes = b"", crls: Iterable[bytes] = ()) -> None:
        """Take authorities (PEM) and their revocation lists (PEM or DER); raise `IdentityError`."""
        try:
            self._authorities = x509.load_pem_x509_certificates(authorities) if authorities else []
            self._lists = [_signed_by_one(_read_crl(data), self._authorities) for data in crls]
        except ValueError as error:
            raise IdentityError(f"identity.ca or identity.crls cannot be read: {error}") from error
        self._held: OrderedDict[bytes, tuple[float, tuple[str, str]]] = OrderedDict()

    def names(self, subject: str, uri: str, certificate: str, now_s: float) -> tuple[str, str]:
        """Return (subject, URI) of a certificate that holds at `now_s`; raise `CredentialError`."""
        if not self._authorities:
            return (subject_name(subject) if subject else "", uri_name(uri))
        if not certificate:
            raise CredentialError("identity.certificate-missing", "the gateway did not pass the certificate on")
        key = hashlib.sha256(certificate.encode("utf-8", "replace")).digest()
        held = self._held.get(key)
        if held is not None and 0 <= now_s - held[0] < RECHECK_S:
            return held[1]
        found = self._checked(read_certificate(certificate), now_s)
        self._held[key] = (now_s, found)
        self._held.move_to_end(key)
        if len(self._held) > CACHED:
            self._held.popitem(last=False)
        return found

    def _checked(self, certificate: x509.Certificate, now_s: float) -> tuple[str, str]:
        now = datetime.fromtimestamp(now_s, UTC)
        verifier = PolicyBuilder().store(Store(self._authorities)).time(now).build_client_verifier()
        try:
            chain = verifier.verify(certificate, []).chain
        except VerificationError as error:
            raise CredentialError("identity.certificate-chain", "no authority of ours stands for it now") from error
        for link in chain[:-1]:
            self._not_revoked(link, now)
        return _names_in(certificate)

    def _not_revoked(self, certificate: x509.Certificate, now: datetime) -> None:
        for revoked in self._lists:
            if revoked.issuer != certificate.issuer:
                continue
            if revoked.next_update_utc is not None and revoked.next_update_utc < now:
                raise CredentialError("identity.crl-old", "the revocation list of its issuer is out of date")
            if revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise CredentialError("identity.certificate-revoked", "the certificate is revoked")


def _read_crl(data: bytes) -> x509.CertificateRevocationList:
    pem = data.lstrip().startswith(b"-----BEGIN")
    return x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)


def _signed_by_one(
    revoked: x509.CertificateRevocationList, authorities: list[x509.Certificate]
) -> x509.CertificateRevocationList:
    for authority in authorities:
        key = authority.public_key()
        if authority.subject == revoked.issuer and revoked.is_signature_valid(key):  # type: ignore[arg-type]  # any key
            return revoked
    raise IdentityError("identity.crls: a revocation list is signed by none of identity.ca")
