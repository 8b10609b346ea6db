"""gRPC over HTTP/2 and Envoy's messages in it: what follows a client's greeting, at once and in pieces."""

from ostiary.sidecar.http2 import PREFACE, WINDOW, Connection, Http2Error
from policy.errors import DialectError
from policy.gateways import envoy_grpc

GREETING = PREFACE + b"\0\0\0\4\0\0\0\0\0"


def one(data: bytes) -> None:
    whole, pieces = _served(data, len(data) or 1), _served(data, 7)
    assert whole == pieces


def _served(data: bytes, step: int) -> tuple[list[bytes], bytes] | None:
    """Return the messages of the calls that came, and what was sent; None where the protocol was broken."""
    connection, messages = Connection(), []
    connection.receive(GREETING)
    try:
        for at in range(0, len(data), step):
            for call in connection.receive(data[at : at + step]):
                messages.append(call.message)
                _read(call.message)
        for call in list(connection.open.values()):
            connection.fail(call, 14, "gate.internal")
    except Http2Error:
        assert b"\7\0\0\0\0\0" in connection.out[-1]  # GOAWAY
        return None
    assert sum(call._size for call in connection.open.values()) <= WINDOW
    return messages, b"".join(connection.out)


def _read(message: bytes) -> None:
    try:
        request = envoy_grpc.parse(message)
        envoy_grpc.place_of(request)
        envoy_grpc.read(request)
    except DialectError as error:
        assert error.code.startswith("gateway.")
