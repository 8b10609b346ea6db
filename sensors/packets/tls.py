"""Read TLS handshakes (RFC 5246, RFC 8446): what a client offers, what a server takes and shows.

Guarantees: bounded, never raises; what a cut handshake still says is read. Certificates are plain up to TLS 1.2 only.
Parts that contradict themselves are empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

VERSIONS: Final = {0x0300: "SSLv3", 0x0301: "TLSv10", 0x0302: "TLSv11", 0x0303: "TLSv12", 0x0304: "TLSv13"}
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
MAX_RECORDS: Final = 32
_CERTIFICATE: Final = 11
_AFTER_CERTIFICATE: Final = (12, 13, 14, 16, 20)
HANDSHAKE: Final = 22
_NAME, _GROUPS, _POINTS, _SIGNATURES, _PROTOCOLS, _VERSIONS = 0, 10, 11, 13, 16, 43
MAX_PROTOCOLS: Final = 8


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers. `name` is the server's that it asks for, `protocols` those of ALPN; "" is absent."""

    whole: bool
    name: str = ""
    version: int = 0
    versions: tuple[int, ...] = ()
    ciphers: tuple[int, ...] = ()
    extensions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    points: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    protocols: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFlight:
    """What a server answers up to its certificate. `whole`: more bytes will tell nothing more that is plain."""

    whole: bool
    version: str
    certificate: bytes = b""
    """The first one, DER; cut where the bytes end."""


def is_grease(value: int) -> bool:
    """Tell whether a number is one of those that stand for nothing (RFC 8701)."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def client_hello(stream: bytes) -> ClientHello:
    """Return what the beginning of a client's stream says, which starts with its hello."""
    data, _ = _handshake(stream)
    size = int.from_bytes(data[1:4], "big")
    body = data[4 : 4 + size]
    found: dict[int, bytes] = {}
    ciphers, rest = _head(body)
    extensions = []
    for kind, value in _extensions(rest):
        extensions.append(kind)
        found.setdefault(kind, value)
    return ClientHello(
        len(data) >= 4 and len(body) == size,
        _server_name(found.get(_NAME, b"")),
        int.from_bytes(body[:2], "big"),
        _pairs(found.get(_VERSIONS, b"")[1:]),
        _pairs(ciphers),
        tuple(extensions),
        _pairs(found.get(_GROUPS, b"")[2:]),
        tuple(found.get(_POINTS, b"")[1:]),
        _pairs(found.get(_SIGNATURES, b"")[2:]),
        tuple(_protocols(found.get(_PROTOCOLS, b""))),
    )


def server_flight(stream: bytes) -> ServerFlight:
    """Return what the beginning of a server's stream says, which starts with its hello."""
    data, ended = _handshake(stream)
    version = int.from_bytes(data[4:6], "big")
    certificate, at = b"", 0
    whole = ended
    for _ in range(MAX_RECORDS):
        if at + 4 > len(data):
            break
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        body = data[at + 4 : at + 4 + size]
        if kind == SERVER_HELLO:
            version = _chosen(body, version)
            whole |= version >= 0x0304 and len(body) == size
        elif kind == _CERTIFICATE:
            length = int.from_bytes(body[3:6], "big")
            certificate = body[6 : 6 + length]
            whole |= len(certificate) == length and length > 0
        whole |= kind in _AFTER_CERTIFICATE
        at += 4 + size
    return ServerFlight(whole, VERSIONS.get(version, f"0x{version:04x}"), certificate)


def _head(body: bytes) -> tuple[bytes, bytes]:
    """Return the cipher suites and the extensions of a client's hello."""
    at = 2 + 32
    at += 1 + _byte(body, at)
    size = int.from_bytes(body[at : at + 2], "big")
    ciphers = body[at + 2 : at + 2 + size]
    at += 2 + size
    at += 1 + _byte(body, at)
    return ciphers, body[at + 2 : at + 2 + int.from_bytes(body[at : at + 2], "big")]


def _chosen(body: bytes, version: int) -> int:
    """Return the version that a server's hello settles on."""
    at = 2 + 32
    at += 1 + _byte(body, at) + 3
    for kind, value in _extensions(body[at + 2 :]):
        if kind == _VERSIONS and len(value) == 2:
            return int.from_bytes(value, "big")
    return version


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value)."""
    at = 0
    for _ in range(128):
        if at + 4 > len(data):
            return
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield int.from_bytes(data[at : at + 2], "big"), data[at + 4 : at + 4 + size]
        at += 4 + size


def _server_name(value: bytes) -> str:
    if len(value) < 6:
        return ""
    name = value[5 : 5 + int.from_bytes(value[3:5], "big")].decode("ascii", "backslashreplace").lower()
    return name[:255] if name.isprintable() else ""


def _protocols(value: bytes) -> Iterator[bytes]:
    at = 2
    for _ in range(MAX_PROTOCOLS):
        size = _byte(value, at)
        if not size:
            return
        yield value[at + 1 : at + 1 + size]
        at += 1 + size


def _pairs(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))


def _byte(data: bytes, at: int) -> int:
    return data[at] if at < len(data) else 0


def _handshake(stream: bytes) -> tuple[bytes, bool]:
    """Return the handshake bytes of the records at the beginning, and whether another kind of record follows them."""
    parts: list[bytes] = []
    at = 0
    for _ in range(MAX_RECORDS):
        if at + 5 > len(stream):
            return b"".join(parts), False
        if stream[at] != HANDSHAKE:
            break
        size = int.from_bytes(stream[at + 3 : at + 5], "big")
        parts.append(stream[at + 5 : at + 5 + size])
        at += 5 + size
    return b"".join(parts), True
