"""SPOP 2.0, the protocol in which HAProxy asks agents (HAProxy's doc/SPOE.txt, section 3): bytes to values and back.

    <size: 4 bytes> <kind: 1 byte> <flags: 4 bytes> <stream: varint> <number: varint> <payload>

Guarantees: bytes of whatever kind give values or a `DialectError` with one of the codes below, never another error; no
length in them is believed before it is seen to be there; a frame is no longer than what was agreed on; nothing is put
together from fragments: none are announced, and one that comes all the same is an error. Knows nothing of what the
messages mean (`policy.gateways.spoe` does) and does no I/O.

    gateway.spoe-frame       a frame that is cut, too short, of no known kind, or out of order      SPOP status 4
    gateway.spoe-size        a frame longer than what was agreed on                                 SPOP status 3
    gateway.spoe-fragment    a part of a frame                                                      SPOP status 10
    gateway.spoe-value       a number, text or value that is not what it says it is                 SPOP status 4
    gateway.spoe-version     a HAPROXY-HELLO without a version that we speak                        SPOP status 8
    gateway.spoe-hello       a HAPROXY-HELLO whose frames are too small for an answer               SPOP status 9
"""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from policy.errors import DialectError

VERSION: Final = "2.0"
MOST: Final = 65_536
"""Bytes of a frame at most, whatever HAProxy offers (its own default is 16,380)."""
LEAST: Final = 4_096
"""Bytes of a frame at least: any answer fits."""
MOST_VALUES: Final = 64
"""Names in a list at most."""
MOST_MESSAGES: Final = 8
HAPROXY_HELLO, HAPROXY_DISCONNECT, NOTIFY = 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
STATUS: Final = {
    "": 0, "gateway.spoe-size": 3, "gateway.spoe-frame": 4, "gateway.spoe-value": 4, "gateway.spoe-version": 8,
    "gateway.spoe-hello": 9, "gateway.spoe-fragment": 10,
}  # fmt: skip
"""What a DISCONNECT says, by the code of the error."""
Value = None | bool | int | str | bytes
"""NULL, a boolean, a number, an address, or a text as it came."""
_FIN = b"\0\0\0\1"
_HEAD = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame."""

    kind: int
    stream: int
    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """What HAProxy begins with."""

    max_frame: int
    """Bytes of a frame at most, by what both sides can."""
    pipelining: bool
    healthcheck: bool


def take_frame(data: bytes, at: int, most: int) -> tuple[Frame, int] | None:
    """Return the frame that begins at `at` and where it ends; None where its end has yet to come; raise `DialectError`.

    `most` are the bytes that a frame may have.
    """
    begin = at + _HEAD
    if len(data) < begin:
        return None
    size = int.from_bytes(data[at:begin])
    if size > most:
        raise DialectError("gateway.spoe-size", f"a frame of {size} bytes")
    end = begin + size
    if size < 7:
        raise DialectError("gateway.spoe-frame", "a frame without a head")
    if len(data) < end:
        return None
    frame = data[begin:end]
    if frame[1:5] != _FIN or frame[0] == 0:
        raise DialectError("gateway.spoe-fragment", "a part of a frame, or one that is given up")
    stream, place = read_varint(frame, 5)
    number, place = read_varint(frame, place)
    return Frame(frame[0], stream, number, frame[place:]), end


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, below 2**64, and where it ends; raise `DialectError`."""
    try:
        value = data[at]
        at += 1
        if value < 240:
            return value, at
        shift = 4
        while True:
            byte = data[at]
            at += 1
            value += byte << shift
            if byte < 128:
                break
            shift += 7
            if shift > 60:
                raise DialectError("gateway.spoe-value", "a number of more than 64 bits")
    except IndexError as error:
        raise DialectError("gateway.spoe-value", "a number that is cut") from error
    if value >> 64:
        raise DialectError("gateway.spoe-value", "a number of more than 64 bits")
    return value, at


def varint(value: int) -> bytes:
    """Return a number from 0 to 2**64 - 1 as bytes."""
    if value < 240:
        return bytes((value,))
    out = bytearray((value & 15 | 240,))
    value = (value - 240) >> 4
    while value >= 128:
        out.append(value & 127 | 128)
        value = (value - 128) >> 7
    out.append(value)
    return bytes(out)


def read_string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the text at `at` and where it ends; raise `DialectError`."""
    size, at = read_varint(data, at)
    end = at + size
    if end > len(data):
        raise DialectError("gateway.spoe-value", "a text that is cut")
    return data[at:end], end


def string(text: bytes) -> bytes:
    """Return a text with its length before it."""
    return varint(len(text)) + text


def read_value(data: bytes, at: int) -> tuple[Value, int]:
    """Return the value at `at` and where it ends; raise `DialectError`."""
    if at >= len(data):
        raise DialectError("gateway.spoe-value", "a value that is cut")
    kind, flags = data[at] & 15, data[at] >> 4
    at += 1
    if kind in (8, 9):
        return read_string(data, at)
    if kind == 0:
        return None, at
    if kind == 1:
        return bool(flags & 1), at
    if kind in (2, 4):  # both come as 64 bits
        value, at = read_varint(data, at)
        return (value - (1 << 64) if value >> 63 else value), at
    if kind in (3, 5):
        return read_varint(data, at)
    return _read_address(data, at, kind)


def _read_address(data: bytes, at: int, kind: int) -> tuple[str, int]:
    end = at + {6: 4, 7: 16}.get(kind, 1 << 32)
    if end > len(data):
        raise DialectError("gateway.spoe-value", "a value that is cut or of no known kind")
    if kind == 6:
        return "%d.%d.%d.%d" % tuple(data[at:end]), end  # noqa: UP031 - the quickest way
    return str(IPv6Address(data[at:end])), end


def read_list(data: bytes, at: int, count: int | None = None) -> tuple[dict[str, Value], int]:
    """Return `count` values by their names, or all up to the end, and where they end; raise `DialectError`."""
    found: dict[str, Value] = {}
    while len(found) != count if count is not None else at < len(data):
        name, at = read_string(data, at)
        value, at = read_value(data, at)
        key = name.decode("latin-1")
        if key in found or len(found) == MOST_VALUES:
            raise DialectError("gateway.spoe-value", "a list that names something twice, or too much")
        found[key] = value
    return found, at


def read_messages(payload: bytes) -> list[tuple[str, dict[str, Value]]]:
    """Return the messages of a NOTIFY, each with its arguments by their names; raise `DialectError`."""
    messages: list[tuple[str, dict[str, Value]]] = []
    at = 0
    while at < len(payload):
        name, at = read_string(payload, at)
        if at >= len(payload) or len(messages) == MOST_MESSAGES:
            raise DialectError("gateway.spoe-frame", "a message that is cut, or one too many")
        arguments, at = read_list(payload, at + 1, payload[at])
        messages.append((name.decode("latin-1"), arguments))
    return messages


def read_hello(payload: bytes) -> Hello:
    """Return what a HAPROXY-HELLO says; raise `DialectError` where we have no common tongue."""
    told, _ = read_list(payload, 0)
    versions, size, capabilities = (told.get(key) for key in ("supported-versions", "max-frame-size", "capabilities"))
    spoken = _words(versions)
    if not any(version.partition(b".")[0] == b"2" for version in spoken):  # it speaks all minor versions before
        raise DialectError("gateway.spoe-version", "no version that we speak")
    if isinstance(size, bool) or not isinstance(size, int) or size < LEAST:
        raise DialectError("gateway.spoe-hello", f"frames of less than {LEAST} bytes")
    return Hello(min(size, MOST), b"pipelining" in _words(capabilities), told.get("healthcheck") is True)


def _words(text: Value) -> list[bytes]:
    return [word.strip() for word in text.split(b",")] if isinstance(text, bytes) else []


def write_hello(hello: Hello) -> bytes:
    """Return the AGENT-HELLO that answers."""
    capabilities = b"pipelining" if hello.pipelining else b""
    payload = (
        string(b"version") + text_value(VERSION) + string(b"max-frame-size") + b"\3" + varint(hello.max_frame)
        + string(b"capabilities") + b"\x08" + string(capabilities)
    )  # fmt: skip
    return frame(AGENT_HELLO, 0, 0, payload)


def write_disconnect(code: str, text: str) -> bytes:
    """Return the AGENT-DISCONNECT that says why; `code` is that of an error, "" where there is none."""
    payload = string(b"status-code") + b"\3" + varint(STATUS.get(code, 99)) + string(b"message") + text_value(text)
    return frame(AGENT_DISCONNECT, 0, 0, payload)


def frame(kind: int, stream: int, number: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    body = b"%c%b%b%b%b" % (kind, _FIN, varint(stream), varint(number), payload)
    return len(body).to_bytes(_HEAD) + body


def text_value(text: str) -> bytes:
    """Return a text as a value."""
    return b"\x08" + string(text.encode("utf-8", "replace"))


def set_variable(scope: int, name: bytes) -> bytes:
    """Return what comes before a value to set a variable to it (sess is scope 1, txn 2)."""
    return bytes((1, 3, scope)) + string(name)
