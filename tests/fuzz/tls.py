"""TLS: hellos, flights of servers, certificates, and streams out of order. The first byte chooses which."""

from sensors.packets import certificates, fingerprints, tls
from sensors.packets.handshakes import Handshakes, Stream
from sensors.packets.rows import Texts, Told
from sensors.packets.streams import MOST_BYTES

KEY = (0, 1, 0, 2, 5000, 443)


def one(data: bytes) -> None:
    kind, body = (data[0] % 4 if data else 0), data[1:]
    if kind == 0:
        hello = tls.client_hello(body)
        assert hello.name.isprintable()
        assert len(fingerprints.ja3(hello)) in (0, 32)
        assert len(fingerprints.ja4(hello)) in (0, 36)
    elif kind == 1:
        _certificate(tls.server_flight(body).certificate)
    elif kind == 2:
        _certificate(body)
    else:
        _conversation(body)


def _certificate(data: bytes) -> None:
    found = certificates.read(data)
    assert found.subject.isprintable()
    assert found.issuer.isprintable()
    assert 0 <= found.not_before < 1 << 63
    assert 0 <= found.not_after < 1 << 63


def _conversation(data: bytes) -> None:
    """Segments of both sides: two bytes of sequence number, one of size and side, then the bytes."""
    shakes, told, at, number = Handshakes(), Told(Texts()), 0, 0
    while at + 3 < len(data):
        seq, size = int.from_bytes(data[at : at + 2], "big"), data[at + 2]
        piece = data[at + 3 : at + 3 + size]
        key = KEY if size & 1 else (*KEY[2:4], *KEY[:2], KEY[5], KEY[4])
        number += 1
        if len(piece) >= 8 and piece[0] == tls.HANDSHAKE:
            shakes.begin(told, piece, seq, number, number, key)
        elif piece:
            shakes.more(told, piece, seq, number, number, key)
        at += 3 + size
    shakes.finish(told, number)
    told.tables()
    stream = Stream(0)
    stream.add(int.from_bytes(data[:2], "big"), data[2:])
    assert len(stream.data) <= MOST_BYTES
