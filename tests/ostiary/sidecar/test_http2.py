"""The protocol's state machine: frames in, frames out (RFC 9113)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.sidecar import http2
from ostiary.sidecar.http2 import PREFACE, Call, Connection, Http2Error

HEAD = b"\x83\x86\x44\x02/a\x0f\x10\x10application/grpc"
"""POST http /a, content-type; the path is kept in no table."""
HEAD = HEAD.replace(b"\x44\x02/a", b"\x04\x02/a")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS = frame(http2.SETTINGS, 0, 0)


def message(text: bytes) -> bytes:
    return b"\0" + len(text).to_bytes(4, "big") + text


def asked(stream: int, text: bytes = b"question") -> bytes:
    return frame(http2.HEADERS, 4, stream, HEAD) + frame(http2.DATA, 1, stream, message(text))


def frames(connection: Connection) -> list[tuple[int, int, int, bytes]]:
    """Take what it wants to send."""
    data, found = b"".join(connection.out), []
    connection.out.clear()
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return found


@pytest.fixture
def connection() -> Connection:
    made = Connection()
    assert made.receive(PREFACE + SETTINGS) == []
    assert [kind for kind, *_ in frames(made)] == [http2.SETTINGS, http2.WINDOW_UPDATE, http2.SETTINGS]
    return made


def code(connection: Connection, data: bytes) -> int:
    """Return the code of the error that bytes are; GOAWAY has to tell the client the same."""
    with pytest.raises(Http2Error) as raised:
        for call in connection.receive(data):
            connection.answer(call, b"")
    kind, _, stream, payload = frames(connection)[-1]
    assert (kind, stream, int.from_bytes(payload[4:8], "big")) == (http2.GOAWAY, 0, raised.value.code)
    return raised.value.code


def test_a_call_and_its_answer(connection: Connection) -> None:
    (call,) = connection.receive(asked(1))
    assert (call.stream, call.path, call.message) == (1, b"/a", b"question")
    assert dict(call.headers)[b"content-type"] == b"application/grpc"
    connection.answer(call, b"answer")
    begun, data, ended = frames(connection)
    assert begun[:3] == (http2.HEADERS, 4, 1)
    assert data == (http2.DATA, 0, 1, message(b"answer"))
    assert ended == (http2.HEADERS, 5, 1, b"\0\x0bgrpc-status\x010")
    assert not connection.open


def test_byte_by_byte(connection: Connection) -> None:
    calls = [call for byte in asked(1) + asked(3) for call in connection.receive(bytes((byte,)))]
    assert [call.stream for call in calls] == [1, 3]


def test_headers_in_parts_and_padding(connection: Connection) -> None:
    padded = b"\x03" + b"\0\0\0\1\x05" + HEAD[:4] + b"\0\0\0"
    data = frame(http2.HEADERS, 0x28, 1, padded) + frame(http2.CONTINUATION, 0, 1, HEAD[4:9])
    data += frame(http2.CONTINUATION, 4, 1, HEAD[9:]) + frame(http2.DATA, 8, 1, b"\x02\0\0\0\0\0\0")[:0]
    data += frame(http2.DATA, 9, 1, b"\x02" + message(b"x") + b"\0\0")
    (call,) = connection.receive(data)
    assert (call.path, call.message) == (b"/a", b"x")


def test_a_message_in_parts_and_trailers(connection: Connection) -> None:
    whole = message(b"question")
    data = frame(http2.HEADERS, 4, 1, HEAD) + frame(http2.DATA, 0, 1, whole[:3]) + frame(http2.DATA, 0, 1, whole[3:])
    (call,) = connection.receive(data + frame(http2.HEADERS, 5, 1, b"\0\x01t\x01u"))
    assert call.message == b"question"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (frame(http2.HEADERS, 5, 1, HEAD), 13),  # no message at all
        (frame(http2.HEADERS, 4, 1, HEAD) + frame(http2.DATA, 1, 1, b"\0\0\0\0\5abc"), 13),
        (frame(http2.HEADERS, 4, 1, HEAD) + frame(http2.DATA, 1, 1, b"\1\0\0\0\1a"), 12),
        (frame(http2.HEADERS, 5, 1, b"\x82\x86\x84"), 13),  # GET
        (frame(http2.HEADERS, 4, 1, HEAD) + frame(http2.DATA, 0, 1, b"\0\0") + frame(http2.DATA, 0, 1, b"\2\0\1"), 8),
        (frame(http2.HEADERS, 4, 1, HEAD) + 9 * frame(http2.DATA, 0, 1, b"\0" * 16_000), 8),
    ],
    ids=["none", "cut-off", "compressed", "get", "to-be-large", "large"],
)
def test_what_is_no_call_is_told_so(connection: Connection, data: bytes, status: int) -> None:
    assert connection.receive(data) == []
    told = frames(connection)[0]
    assert told[:3] == (http2.HEADERS, 5, 1)
    assert b"grpc-status%c%d" % (len(str(status)), status) in told[3]
    assert [call.message for call in connection.receive(asked(3))] == [b"question"]  # the connection goes on


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(http2.DATA, 1, 1, b""), http2.PROTOCOL_ERROR),
        (frame(http2.DATA, 1, 0, b""), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 5, 0, HEAD), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 5, 2, HEAD), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 5, 3, HEAD) + frame(http2.HEADERS, 5, 1, HEAD), http2.STREAM_CLOSED),
        (frame(http2.HEADERS, 4, 1, HEAD) + frame(http2.HEADERS, 4, 1, HEAD), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 0, 1, HEAD) + frame(http2.PING, 0, 0, bytes(8)), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 0, 1, HEAD) + frame(http2.CONTINUATION, 4, 3, b""), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 0x0C, 1, b"\x09" + HEAD[:2]), http2.PROTOCOL_ERROR),
        (frame(http2.HEADERS, 0x24, 1, b"\0"), http2.FRAME_SIZE_ERROR),
        (frame(http2.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff\xff"), http2.COMPRESSION_ERROR),
        (frame(http2.HEADERS, 0, 1, HEAD) + frame(9, 0, 1, bytes(16_000)) * 2, http2.ENHANCE_YOUR_CALM),
        (frame(http2.CONTINUATION, 4, 1, b""), http2.PROTOCOL_ERROR),
        (frame(http2.PUSH_PROMISE, 4, 1, b""), http2.PROTOCOL_ERROR),
        (frame(http2.PING, 0, 0, bytes(7)), http2.FRAME_SIZE_ERROR),
        (frame(http2.PING, 0, 1, bytes(8)), http2.PROTOCOL_ERROR),
        (frame(http2.SETTINGS, 0, 1), http2.PROTOCOL_ERROR),
        (frame(http2.SETTINGS, 0, 0, b"x"), http2.FRAME_SIZE_ERROR),
        (frame(http2.SETTINGS, 1, 0, bytes(6)), http2.FRAME_SIZE_ERROR),
        (frame(http2.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), http2.FLOW_CONTROL_ERROR),
        (frame(http2.WINDOW_UPDATE, 0, 0, bytes(4)), http2.PROTOCOL_ERROR),
        (frame(http2.WINDOW_UPDATE, 0, 0, bytes(3)), http2.FRAME_SIZE_ERROR),
        (frame(http2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), http2.FLOW_CONTROL_ERROR),
        (frame(http2.RST_STREAM, 0, 1, bytes(4)), http2.PROTOCOL_ERROR),
        (frame(http2.RST_STREAM, 0, 1, bytes(3)), http2.FRAME_SIZE_ERROR),
        (frame(http2.PRIORITY, 0, 1, bytes(4)), http2.FRAME_SIZE_ERROR),
        (b"\xff\xff\xff" + bytes(6), http2.FRAME_SIZE_ERROR),
    ],
)
def test_what_breaks_the_protocol(connection: Connection, data: bytes, expected: int) -> None:
    assert code(connection, data) == expected


@pytest.mark.parametrize("data", [frame(http2.DATA, 1, 1, message(b"")), frame(http2.HEADERS, 5, 1, b"\x82")])
def test_nothing_comes_after_the_end_of_a_call(data: bytes) -> None:
    made = Connection()
    assert len(made.receive(PREFACE + SETTINGS + asked(1))) == 1
    with pytest.raises(Http2Error):
        made.receive(data)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", PREFACE[:-1] + b"x", PREFACE + frame(6, 0, 0, bytes(8))])
def test_what_is_another_protocol(data: bytes) -> None:
    assert code(Connection(), data) == http2.PROTOCOL_ERROR


def test_what_is_unknown_means_nothing(connection: Connection) -> None:
    assert connection.receive(frame(99, 255, 7, b"x") + frame(http2.PRIORITY, 0, 5, bytes(5))) == []
    assert connection.receive(frame(http2.SETTINGS, 0, 0, b"\x99\x99\0\0\0\1")) == []
    assert frames(connection) == [(http2.SETTINGS, 1, 0, b"")]


def test_a_ping_is_answered(connection: Connection) -> None:
    connection.receive(frame(http2.PING, 0, 0, b"12345678") + frame(http2.PING, 1, 0, b"87654321"))
    assert frames(connection) == [(http2.PING, 1, 0, b"12345678")]


@pytest.mark.parametrize("nuisance", [frame(6, 0, 0, bytes(8)), SETTINGS])
def test_frames_that_are_nothing_but_work_end_it(connection: Connection, nuisance: bytes) -> None:
    assert code(connection, nuisance * (http2.NUISANCES + 1)) == http2.ENHANCE_YOUR_CALM


def test_who_opens_and_drops_calls_is_closed(connection: Connection) -> None:
    with pytest.raises(Http2Error) as raised:
        for stream in range(1, 1 << 14, 2):  # CVE-2023-44487
            connection.receive(frame(http2.HEADERS, 4, stream, HEAD) + frame(http2.RST_STREAM, 0, stream, bytes(4)))
            assert not connection.open
    assert raised.value.code == http2.ENHANCE_YOUR_CALM


def test_calls_that_are_answered_buy_patience(connection: Connection) -> None:
    for stream in range(1, 4 * http2.NUISANCES, 2):
        (call,) = connection.receive(asked(stream) + frame(http2.PING, 0, 0, bytes(8)))
        connection.receive(frame(http2.WINDOW_UPDATE, 0, 0, b"\0\0\0\x05"))
        connection.answer(call, b"")


def test_a_quiet_client_may_ask_for_ever(connection: Connection) -> None:
    for _ in range(2 * http2.NUISANCES):
        connection.receive(frame(http2.PING, 0, 0, bytes(8)))
        connection.rest()
    assert code(connection, frame(http2.PING, 0, 0, bytes(8)) * (http2.NUISANCES + 1)) == http2.ENHANCE_YOUR_CALM


def test_so_many_calls_and_no_more(connection: Connection) -> None:
    calls = connection.receive(b"".join(asked(stream) for stream in range(1, 2 * http2.CALLS + 3, 2)))
    assert len(calls) == len(connection.open) == http2.CALLS
    assert frames(connection)[0] == (http2.RST_STREAM, 0, 2 * http2.CALLS + 1, b"\0\0\0\7")


def test_a_dropped_call_gets_no_answer(connection: Connection) -> None:
    (call,) = connection.receive(asked(1))
    connection.receive(frame(http2.RST_STREAM, 0, 1, bytes(4)))
    connection.answer(call, b"")
    connection.fail(call, 1, "")
    assert frames(connection) == []


def test_answers_keep_to_the_clients_windows(connection: Connection) -> None:
    connection.receive(frame(http2.SETTINGS, 0, 0, b"\0\4\0\0\0\x0a"))  # ten bytes a stream
    first, second = connection.receive(asked(1) + asked(3))
    frames(connection)
    connection.answer(first, b"x" * 10)
    connection.answer(second, b"y")
    assert [kind for kind, *_ in frames(connection)] == [http2.HEADERS, http2.HEADERS]
    connection.receive(frame(http2.WINDOW_UPDATE, 0, 1, b"\0\0\0\x05"))
    sent = frames(connection)
    assert [(kind, stream) for kind, _, stream, _ in sent] == [(0, 1), (1, 1), (0, 3), (1, 3)]
    assert not connection._unsent and not connection._windows


def test_the_connections_window_is_kept_to(connection: Connection) -> None:
    calls = connection.receive(b"".join(asked(stream) for stream in range(1, 9, 2)))
    for call in calls:
        connection.answer(call, b"x" * 20_000)
    sent = [payload for kind, _, _, payload in frames(connection) if kind == http2.DATA]
    assert sum(map(len, sent)) == 3 * 20_005
    connection.receive(frame(http2.SETTINGS, 0, 0, b"\0\4\0\1\0\0") + frame(http2.WINDOW_UPDATE, 0, 0, b"\0\1\0\0"))
    assert sum(len(payload) for kind, _, _, payload in frames(connection) if kind == http2.DATA) == 20_005


def test_answers_that_nobody_reads_end_it(connection: Connection) -> None:
    calls = connection.receive(b"".join(asked(stream) for stream in range(1, 601, 2)))
    with pytest.raises(Http2Error) as raised:
        for call in calls:
            connection.answer(call, b"x" * 10_000)
    assert raised.value.code == http2.ENHANCE_YOUR_CALM


def test_a_client_may_send_on_once_it_is_answered(connection: Connection) -> None:
    part = frame(http2.DATA, 0, 1, b"x" * 16_000)
    connection.receive(frame(http2.HEADERS, 4, 1, HEAD) + 9 * part)  # too large: refused, the rest is not kept
    connection.receive(part * 124)
    updates = [payload for kind, _, stream, payload in frames(connection) if kind == http2.WINDOW_UPDATE and not stream]
    assert sum(int.from_bytes(payload, "big") for payload in updates) > http2.WINDOW // 2


def test_what_is_not_complete_has_its_limit(connection: Connection) -> None:
    with pytest.raises(Http2Error) as raised:
        for stream in range(1, 2_047, 2):
            connection.receive(frame(http2.HEADERS, 4, stream, HEAD) + 8 * frame(http2.DATA, 0, stream, bytes(16_000)))
    assert raised.value.code == http2.FLOW_CONTROL_ERROR
    assert sum(call._size for call in connection.open.values()) <= http2.WINDOW


def test_draining_answers_what_is_open_and_takes_nothing_more(connection: Connection) -> None:
    (call,) = connection.receive(asked(1))
    connection.drain()
    assert frames(connection) == [(http2.GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0")]
    assert connection.receive(asked(3)) == []
    assert frames(connection)[0] == (http2.RST_STREAM, 0, 3, b"\0\0\0\7")
    assert not connection.done
    connection.answer(call, b"")
    assert connection.done


def fed(connection: Connection, data: bytes) -> list[Call]:
    try:
        return connection.receive(data)
    except Http2Error:
        return []


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40))))
def test_any_frames_are_taken_or_refused(parts: list[tuple[int, int, int, bytes]]) -> None:
    connection = Connection()
    fed(connection, PREFACE + SETTINGS)
    for part in parts:
        for call in fed(connection, frame(*part)):
            connection.answer(call, b"")


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    fed(Connection(), data)
    fed(Connection(), PREFACE + data)
    fed(Connection(), PREFACE + SETTINGS + data)
