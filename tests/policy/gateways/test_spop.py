"""SPOP: what HAProxy really sends is read, what we write is as specified, and hostile bytes harm nothing."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways import spop

VECTORS = Path(__file__).parents[2] / "vectors" / "gateways"
NUMBERS = st.integers(0, 2**64 - 1)


def vector(name: str) -> bytes:
    return bytes.fromhex((VECTORS / f"haproxy-2.6-{name}.hex").read_text())


def whole(data: bytes, most: int = spop.MOST) -> spop.Frame:
    taken = spop.take_frame(data, 0, most)
    assert taken is not None
    frame, end = taken
    assert end == len(data)
    return frame


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"), (239, "ef"), (240, "f000"), (2287, "ff7f"), (2288, "f08000"), (264431, "ffff7f"),
        (264432, "f0808000"), (33818863, "ffffff7f"), (33818864, "f080808000"), (2**64 - 1, "fff0fefefefefefefe0e"),
    ],
)  # fmt: skip
def test_numbers_are_as_the_specification_says(value: int, data: str) -> None:
    assert spop.varint(value).hex() == data
    assert spop.read_varint(bytes.fromhex(data) + b"\xff", 0) == (value, len(data) // 2)


@given(NUMBERS)
def test_numbers_come_back(value: int) -> None:
    data = spop.varint(value)
    assert spop.read_varint(data, 0) == (value, len(data))


@pytest.mark.parametrize("data", ["", "f0", "f080", "ff" * 40, "ffffffffffffffffffff00", "fff1fefefefefefefe0e"])
def test_numbers_that_are_none(data: str) -> None:
    with pytest.raises(DialectError) as caught:
        spop.read_varint(bytes.fromhex(data), 0)
    assert caught.value.code == "gateway.spoe-value"


def test_the_hello_of_a_real_haproxy() -> None:
    frame = whole(vector("hello"))
    assert (frame.kind, frame.stream, frame.number) == (spop.HAPROXY_HELLO, 0, 0)
    assert spop.read_hello(frame.payload) == spop.Hello(16_380, pipelining=True, healthcheck=False)


def test_the_health_check_of_a_real_haproxy_which_can_do_nothing() -> None:
    hello = spop.read_hello(whole(vector("hello-check")).payload)
    assert hello == spop.Hello(16_380, pipelining=False, healthcheck=True)
    told, _ = spop.read_list(whole(spop.write_hello(hello)).payload, 0)
    assert told == {"version": b"2.0", "max-frame-size": 16_380, "capabilities": b""}


def test_questions_of_a_real_haproxy() -> None:
    ((name, sent),) = spop.read_messages(whole(vector("notify-http")).payload)
    assert name == "ostiary-http"
    assert sent == {
        "src": "127.0.0.2", "method": b"GET", "host": b"127.0.0.1:39973", "target": b"/x?y=1", "route": None,
        "tls_used": None, "tls_verify": None, "tls_dn": None, "tls_cert": None, "authorization": b"Bearer x",
        "cookie": b"a=b", "x_api_key": None, "accept": b"text/html",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }  # fmt: skip
    ((name, sent),) = spop.read_messages(whole(vector("notify-tcp")).payload)
    assert (name, sent["src"], sent["frontend"]) == ("ostiary-tcp", "127.0.0.2", b"ssh")
    assert spop.read_messages(whole(vector("notify-http6")).payload)[0][1]["src"] == "::1"


def test_a_disconnect_says_why() -> None:
    frame = whole(spop.write_disconnect("gateway.spoe-size", "too long"))
    assert frame.kind == spop.AGENT_DISCONNECT
    assert spop.read_list(frame.payload, 0)[0] == {"status-code": 3, "message": b"too long"}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", None), ("01", False), ("11", True), ("0205", 5), ("0405", 5), ("03f000", 240), ("05f000", 240),
        ("02fff0fefefefefefefe0e", -1), ("06c0000201", "192.0.2.1"), ("07" + "00" * 15 + "01", "::1"),
        ("0803616263", b"abc"), ("0900", b""),
    ],
)  # fmt: skip
def test_values(data: str, value: spop.Value) -> None:
    read, end = spop.read_value(bytes.fromhex(data), 0)
    assert (read, type(read), end) == (value, type(value), len(data) // 2)


@pytest.mark.parametrize("data", ["", "0a00", "0f", "06c00002", "07" + "00" * 15, "0804616263", "02", "09ff"])
def test_values_that_are_none(data: str) -> None:
    with pytest.raises(DialectError) as caught:
        spop.read_value(bytes.fromhex(data), 0)
    assert caught.value.code == "gateway.spoe-value"


def head(kind: int = 3, flags: bytes = b"\0\0\0\1") -> bytes:
    return bytes((kind,)) + flags + b"\1\1"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\0\1\0\1" + head(), "gateway.spoe-size"),
        (b"\xff\xff\xff\xff", "gateway.spoe-size"),
        (b"\0\0\0\0", "gateway.spoe-frame"),
        (b"\0\0\0\6" + head()[:6], "gateway.spoe-frame"),
        (b"\0\0\0\7" + head(flags=b"\0\0\0\0"), "gateway.spoe-fragment"),
        (b"\0\0\0\7" + head(flags=b"\0\0\0\3"), "gateway.spoe-fragment"),
        (b"\0\0\0\7" + head(kind=0), "gateway.spoe-fragment"),
        (b"\0\0\0\7" + head()[:6] + b"\xf0", "gateway.spoe-value"),
    ],
)
def test_frames_that_are_none(data: bytes, code: str) -> None:
    with pytest.raises(DialectError) as caught:
        spop.take_frame(data, 0, spop.MOST)
    assert caught.value.code == code


def test_a_frame_is_taken_once_it_is_whole() -> None:
    data = vector("notify-http")
    for end in range(len(data)):
        assert spop.take_frame(data[:end], 0, spop.MOST) is None
    assert spop.take_frame(b"xx" + data + b"y", 2, spop.MOST) == (whole(data), 2 + len(data))
    with pytest.raises(DialectError):
        spop.take_frame(data[:4], 0, 255)


def hello(**changed: bytes) -> bytes:
    parts = {
        "supported_versions": spop.text_value("1.0, 2.0"), "max_frame_size": b"\3" + spop.varint(70_000),
        "capabilities": spop.text_value("async, pipelining"), **changed,
    }  # fmt: skip
    return b"".join(spop.string(key.replace("_", "-").encode()) + value for key, value in parts.items())


def test_a_hello_is_met_half_way() -> None:
    assert spop.read_hello(hello()) == spop.Hello(spop.MOST, pipelining=True, healthcheck=False)
    assert spop.read_hello(hello(capabilities=b"\0")) == spop.Hello(spop.MOST, pipelining=False, healthcheck=False)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"supported_versions": spop.text_value("1.0,3.0")}, "gateway.spoe-version"),
        ({"supported_versions": b"\0"}, "gateway.spoe-version"),
        ({"max_frame_size": b"\3" + spop.varint(4_095)}, "gateway.spoe-hello"),
        ({"max_frame_size": b"\x11"}, "gateway.spoe-hello"),
        ({"max_frame_size": b"\0"}, "gateway.spoe-hello"),
    ],
)
def test_hellos_without_a_common_tongue(changed: dict[str, bytes], code: str) -> None:
    with pytest.raises(DialectError) as caught:
        spop.read_hello(hello(**changed))
    assert caught.value.code == code
    assert spop.STATUS[code] in (8, 9)


def test_lists_are_bounded_and_name_nothing_twice() -> None:
    many = b"".join(spop.string(b"%d" % number) + b"\0" for number in range(spop.MOST_VALUES + 1))
    for data in (many, spop.string(b"a") + b"\0" + spop.string(b"a") + b"\0"):
        with pytest.raises(DialectError):
            spop.read_list(data, 0)
    with pytest.raises(DialectError):
        spop.read_messages((spop.string(b"m") + b"\0") * (spop.MOST_MESSAGES + 1))
    with pytest.raises(DialectError):
        spop.read_messages(spop.string(b"m"))


@given(st.binary(max_size=400))
@example(b"\xff" * 40)
@example(vector("notify-http"))
def test_hostile_bytes_are_a_typed_error_or_values(data: bytes) -> None:
    for read in (
        lambda: spop.take_frame(data, 0, spop.MOST),
        lambda: spop.take_frame(len(data).to_bytes(4) + data, 0, spop.MOST),
        lambda: spop.read_hello(data),
        lambda: spop.read_messages(data),
        lambda: spop.read_list(data, 0),
    ):
        try:
            read()  # type: ignore[no-untyped-call]
        except DialectError as error:
            assert error.code in spop.STATUS


@given(st.integers(0, 300), st.binary(min_size=1, max_size=4))
def test_a_question_that_was_damaged_on_the_way(at: int, damage: bytes) -> None:
    data = bytearray(vector("notify-http"))
    at %= len(data)
    data[at : at + len(damage)] = damage
    try:
        taken = spop.take_frame(bytes(data), 0, spop.MOST)
        if taken is not None:
            spop.read_messages(taken[0].payload)
    except DialectError as error:
        assert error.code in spop.STATUS


@given(NUMBERS, NUMBERS, st.binary(max_size=300))
def test_frames_come_back(stream: int, number: int, payload: bytes) -> None:
    assert whole(spop.frame(spop.ACK, stream, number, payload)) == spop.Frame(spop.ACK, stream, number, payload)
