"""Read the head of an HTTP/1 response (RFC 9112) and the first bytes of what it carries; never raises."""

import zlib
from dataclasses import dataclass
from typing import Final

MAX_FIELDS: Final = 64
MAX_UNPACKED: Final = 4096
_KEPT: Final = frozenset((b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"))


_INITIALS: Final = frozenset((b"C", b"c", b"T", b"t"))


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response. `body` is what of it came in the same segment, None where the head didn't end there."""

    status: int
    mime: str = ""
    length: int = 0
    packed: bool = False
    chunked: bool = False
    body: bytes | None = None


def parse(head: bytes) -> Response | None:
    """Return what the first bytes of a response say, or None where its first line makes no sense."""
    status = head[9:12]
    if head[8:9] != b" " or not status.isdigit():
        return None
    top, blank, body = head.partition(b"\r\n\r\n")
    fields: dict[bytes, bytes] = {}
    for line in top.split(b"\r\n", MAX_FIELDS)[1:MAX_FIELDS]:
        if line[:1] not in _INITIALS:
            continue
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _KEPT:
            fields.setdefault(name, value.strip()[:256])
    length = fields.get(b"content-length", b"")
    return Response(
        int(status),
        media_type(fields.get(b"content-type", b"")),
        int(length) if length.isdigit() and len(length) < 19 else 0,
        fields.get(b"content-encoding", b"identity").lower() != b"identity",
        b"chunked" in fields.get(b"transfer-encoding", b"").lower(),
        body if blank else None,
    )


def media_type(value: bytes) -> str:
    """Return a media type in lower case, without its parameters; "" where it isn't printable."""
    text = value.partition(b";")[0].strip().lower()[:80].decode("latin-1")
    return text if text.isascii() and text.isprintable() else ""


def beginning(response: Response, body: bytes) -> bytes:
    """Return a body's first bytes as they were before transfer and compression, as far as that can be undone."""
    if response.chunked:
        size, _, rest = body[:4096].partition(b"\r\n")
        body = rest if len(size) < 20 else body
    if not response.packed:
        return body
    if body[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(31).decompress(body, MAX_UNPACKED)
        except zlib.error:
            return b""
    return b""
