"""Read TLS greetings (RFC 5246, RFC 8446): the name that the client asks for, the version, and whose certificate it is.

Guarantees: bounded, never raises; only what stands in the first segment of each side is read, so a name or certificate
that begins later is "". Certificates are plain up to TLS 1.2 only. Names are the texts of subject and issuer (RFC 5280)
as `CN=...,O=...`, at most `MAX_NAME` characters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_NAME: Final = 512
VERSIONS: Final = {0x0300: "SSLv3", 0x0301: "TLSv10", 0x0302: "TLSv11", 0x0303: "TLSv12", 0x0304: "TLSv13"}
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11
_PARTS: Final = {
    b"\x55\x04\x03": "CN", b"\x55\x04\x06": "C", b"\x55\x04\x07": "L", b"\x55\x04\x08": "ST", b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server's first segment says; "" is unseen."""

    version: str
    subject: str = ""
    issuer: str = ""


def client_name(record: bytes) -> str:
    """Return the server name of a client's hello, or ""."""
    for kind, value in _extensions(record, 5):
        if kind == 0 and len(value) > 5:
            name = value[5 : 5 + int.from_bytes(value[3:5], "big")].decode("ascii", "backslashreplace").lower()
            return name[:255] if name.isprintable() else ""
    return ""


def greeting(segment: bytes) -> Greeting:
    """Return version and names out of a server's first segment, which begins with its hello."""
    version = int.from_bytes(segment[9:11], "big")
    for kind, value in _extensions(segment, 5, client=False):
        if kind == 43 and len(value) == 2:
            version = int.from_bytes(value, "big")
    certificate = _certificate(segment)
    issuer, subject = _names(certificate) if certificate else ("", "")
    return Greeting(VERSIONS.get(version, f"0x{version:04x}"), subject, issuer)


def _extensions(record: bytes, at: int, *, client: bool = True) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of the extensions of the hello whose handshake header is at `at`."""
    end = min(len(record), at + 4 + int.from_bytes(record[at + 1 : at + 4], "big"))
    at += 4 + 2 + 32
    at += 1 + _byte(record, at)
    if client:
        at += 2 + int.from_bytes(record[at : at + 2], "big")
        at += 1 + _byte(record, at)
    else:
        at += 3
    at += 2
    for _ in range(64):
        if at + 4 > end:
            return
        size = int.from_bytes(record[at + 2 : at + 4], "big")
        yield int.from_bytes(record[at : at + 2], "big"), record[at + 4 : min(at + 4 + size, end)]
        at += 4 + size


def _byte(data: bytes, at: int) -> int:
    return data[at] if at < len(data) else 0


def _handshake(segment: bytes) -> bytes:
    """Return the handshake bytes of the records at the beginning of a segment."""
    parts, at = [], 0
    for _ in range(8):
        if at + 5 > len(segment) or segment[at] != 22:
            break
        size = int.from_bytes(segment[at + 3 : at + 5], "big")
        parts.append(segment[at + 5 : at + 5 + size])
        at += 5 + size
    return b"".join(parts)


def _certificate(segment: bytes) -> bytes:
    """Return the beginning of the first certificate, or nothing."""
    messages, at = _handshake(segment), 0
    for _ in range(8):
        if at + 10 > len(messages):
            break
        if messages[at] == _CERTIFICATE:
            return messages[at + 10 :]
        at += 4 + int.from_bytes(messages[at + 1 : at + 4], "big")
    return b""


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
