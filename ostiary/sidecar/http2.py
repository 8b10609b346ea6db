"""The server's side of HTTP/2 (RFC 9113), as much of it as unary gRPC needs: frames in, calls out, frames in answer.

    gateway ──frames──> Connection ──Call──> whoever answers ──answer / fail──> frames

Guarantees: what breaks the protocol ends the connection with GOAWAY and a code of section 7; what breaks one call ends
that call. A connection holds at most `CALLS` calls, `WINDOW` bytes that wait for the end of their calls, and `UNREAD`
bytes of answers that its client does not read; a message has at most `MAX_MESSAGE` bytes, headers what `hpack` allows.
Whoever opens and drops calls, or asks for answers to no call, faster than it lets them be answered is closed. Answers
keep to the client's windows. No I/O and no clock.
"""

import struct
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from ostiary.sidecar.hpack import MAX_HEADERS, Decoder, HpackError

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CALLS: Final = 1_024
WINDOW: Final = 4 << 20
MAX_MESSAGE: Final = 131_072
MAX_FRAME: Final = 16_384
UNREAD: Final = 1 << 20
NUISANCES: Final = 1_000
"""Frames that want an answer or drop a call: one for each call that was answered, and so many besides."""
FORGIVEN: Final = 10
"""So many of them a second are no matter."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0x0, 0x1, 0x3, 0x5, 0x6
REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x7, 0x9, 0xB
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 8, 12, 13
"""Codes of gRPC."""
_LARGEST = (1 << 31) - 1
_HEAD = struct.Struct(">HBBBL")
_SETTING = struct.Struct(">HL")
_OURS = ((3, CALLS), (4, MAX_MESSAGE + 5), (6, MAX_HEADERS))
"""SETTINGS_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE and _MAX_HEADER_LIST_SIZE."""
_BEGUN = b"\x88\x0f\x10\x10application/grpc"
"""`:status: 200` and `content-type`, the way gRPC answers, without a table (RFC 7541, section 6.2.2)."""
_WELL = b"\x00\x0bgrpc-status\x010"


class Http2Error(Exception):
    """The protocol is broken; `code` is that of section 7."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Call:
    """A call, complete once it comes out of `Connection.receive`."""

    stream: int
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    message: bytes = b""
    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0
    _ended: bool = False


class Connection:
    """One connection. Feed it with `receive`, write what `out` has gathered."""

    def __init__(self) -> None:
        self.out: list[bytes] = [
            _frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*one) for one in _OURS)),
            _frame(WINDOW_UPDATE, 0, 0, (WINDOW - 65_535).to_bytes(4, "big")),
        ]
        self.open: OrderedDict[int, Call] = OrderedDict()
        """Calls that have begun and are not answered."""
        self.draining = False
        self._data = bytearray()
        self.greeted = self._set = False
        self._headers = Decoder()
        self._block: tuple[int, int, bytearray] | None = None
        self._last = 0
        self._window = 65_535
        self._initial = 65_535
        self._windows: dict[int, int] = {}
        self._unsent: deque[tuple[int, bytes, bytes]] = deque()
        self._unsent_bytes = 0
        self._taken = 0
        self._patience = NUISANCES

    def receive(self, data: bytes) -> list[Call]:
        """Take bytes and return the calls that they complete; raise `Http2Error` once `out` has the GOAWAY."""
        self._data += data
        calls: list[Call] = []
        try:
            self._greet()
            while self.greeted and (frame := self._next()) is not None:
                call = self._take(*frame)
                if call is not None:
                    calls.append(call)
        except Http2Error as error:
            self._end(error.code)
            raise
        return calls

    def answer(self, call: Call, message: bytes) -> None:
        """Answer a call; nothing happens where it was dropped meanwhile."""
        if self.open.pop(call.stream, None) is None:
            return
        self._patience = min(self._patience + 1, NUISANCES)
        begun = _frame(HEADERS, END_HEADERS, call.stream, _BEGUN)
        self._send(call.stream, begun, b"\0%b%b" % (len(message).to_bytes(4, "big"), message))

    def fail(self, call: Call, code: int, text: str) -> None:
        """Answer a call with a status of gRPC and nothing else; `text` is of plain characters."""
        if self.open.pop(call.stream, None) is None:
            return
        self._windows.pop(call.stream, None)
        self._patience = min(self._patience + 1, NUISANCES)
        block = (
            _BEGUN + _literal(b"grpc-status", b"%d" % code) + _literal(b"grpc-message", text.encode("ascii", "replace"))
        )
        self.out.append(_frame(HEADERS, END_HEADERS | END_STREAM, call.stream, block))

    def rest(self) -> None:
        """Forgive a little; call it about once a second, so that a quiet client may ask for a long time."""
        self._patience = min(self._patience + FORGIVEN, NUISANCES)

    def drain(self) -> None:
        """Take no more calls."""
        if not self.draining:
            self.draining = True
            self._end(NO_ERROR)

    @property
    def done(self) -> bool:
        """Tell whether it may be closed: it is to end, and everything is answered."""
        return self.draining and not self.open and not self._unsent

    def _greet(self) -> None:
        if self.greeted:
            return
        start = bytes(self._data[: len(PREFACE)])
        if not PREFACE.startswith(start):
            raise Http2Error(PROTOCOL_ERROR, "this is not HTTP/2")
        if len(start) == len(PREFACE):
            del self._data[: len(PREFACE)]
            self.greeted = True

    def _next(self) -> tuple[int, int, int, bytes] | None:
        data = self._data
        if len(data) < 9:
            return None
        high, low, kind, flags, stream = _HEAD.unpack_from(data)
        size = high << 8 | low
        if size > MAX_FRAME:
            raise Http2Error(FRAME_SIZE_ERROR, "a frame that is too large")
        if len(data) < 9 + size:
            return None
        payload = bytes(data[9 : 9 + size])
        del data[: 9 + size]
        return kind, flags, stream & _LARGEST, payload

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> Call | None:
        if self._block is not None and (kind != CONTINUATION or stream != self._block[0]):
            raise Http2Error(PROTOCOL_ERROR, "headers that are interrupted")
        if not self._set and (kind != SETTINGS or flags & ACK):
            raise Http2Error(PROTOCOL_ERROR, "no settings after the greeting")
        if kind == DATA:
            return self._data_came(flags, stream, payload)
        if kind == HEADERS:
            return self._headers_came(flags, stream, payload)
        if kind == CONTINUATION:
            return self._more_headers(flags, stream, payload)
        if kind in (SETTINGS, PING, GOAWAY) and stream:
            raise Http2Error(PROTOCOL_ERROR, "a frame of the connection on a stream")
        if kind == SETTINGS:
            self._settings(flags, payload)
        elif kind == PING:
            if len(payload) != 8:
                raise Http2Error(FRAME_SIZE_ERROR, "a ping of another size")
            if not flags & ACK:
                self._nuisance()
                self.out.append(_frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self._window_grew(stream, payload)
        elif kind == RST_STREAM:
            self._dropped(stream, payload)
        elif kind == GOAWAY:
            self.draining = True
        elif kind == PUSH_PROMISE:
            raise Http2Error(PROTOCOL_ERROR, "a promise of a client's")
        elif kind == PRIORITY and (not stream or len(payload) != 5):
            raise Http2Error(FRAME_SIZE_ERROR if stream else PROTOCOL_ERROR, "a priority that is none")
        return None  # PRIORITY, and what is not known, means nothing here

    def _headers_came(self, flags: int, stream: int, payload: bytes) -> Call | None:
        if not stream & 1:
            raise Http2Error(PROTOCOL_ERROR, "a stream that a client cannot open")
        payload = _unpadded(flags, payload)
        if flags & PRIORITISED:
            if len(payload) < 5:
                raise Http2Error(FRAME_SIZE_ERROR, "a priority that is cut off")
            payload = payload[5:]
        if stream <= self._last and stream not in self.open:
            raise Http2Error(STREAM_CLOSED, "headers on a stream that is closed")
        self._block = (stream, flags, bytearray())
        return self._more_headers(flags, stream, payload)

    def _more_headers(self, flags: int, stream: int, payload: bytes) -> Call | None:
        if self._block is None:
            raise Http2Error(PROTOCOL_ERROR, "a continuation of nothing")
        _, first, block = self._block
        block += payload
        if len(block) > MAX_FRAME:
            raise Http2Error(ENHANCE_YOUR_CALM, "headers that are too large")
        if not flags & END_HEADERS:
            return None
        self._block = None
        try:
            headers = self._headers.decode(bytes(block))
        except HpackError as error:
            raise Http2Error(COMPRESSION_ERROR, str(error)) from error
        return self._opened(stream, first, headers)

    def _opened(self, stream: int, flags: int, headers: tuple[tuple[bytes, bytes], ...]) -> Call | None:
        call = self.open.get(stream)
        if call is not None:  # trailers
            if call._ended or not flags & END_STREAM:
                raise Http2Error(PROTOCOL_ERROR, "headers within a message, or after it")
            return self._complete(call)
        self._last = stream
        if self.draining or len(self.open) >= CALLS:
            self._nuisance()
            self._reset(stream, REFUSED_STREAM)
            return None
        found = dict(headers)
        call = self.open[stream] = Call(stream, found.get(b":path", b""), headers)
        if found.get(b":method") != b"POST" or not found.get(b"content-type", b"").startswith(b"application/grpc"):
            self.fail(call, INTERNAL, "gateway.message")
            return None
        return self._complete(call) if flags & END_STREAM else None

    def _data_came(self, flags: int, stream: int, payload: bytes) -> Call | None:
        size = len(payload)
        if not stream or stream > self._last:
            raise Http2Error(PROTOCOL_ERROR, "data on a stream that was never opened")
        self._taken += size
        if self._taken > WINDOW:
            raise Http2Error(FLOW_CONTROL_ERROR, "more data than there is room for")
        call, complete = self.open.get(stream), None
        if call is not None and call._ended:
            raise Http2Error(STREAM_CLOSED, "data after the end of a call")
        if call is not None:  # else it was answered or dropped already
            call._parts.append(_unpadded(flags, payload))
            call._size += size
            if call._size > MAX_MESSAGE + 5 or (not flags & END_STREAM and _declared(call) > MAX_MESSAGE):
                self.fail(call, RESOURCE_EXHAUSTED, "gateway.message")
                self._reset(stream, NO_ERROR)
            elif flags & END_STREAM:
                complete = self._complete(call)
        if self._taken > WINDOW // 2:
            self._give_back()
        return complete

    def _give_back(self) -> None:
        """Let the client send as much again as has been dealt with."""
        free = self._taken - sum(one._size for one in self.open.values())
        if free > 0:
            self.out.append(_frame(WINDOW_UPDATE, 0, 0, free.to_bytes(4, "big")))
            self._taken -= free

    def _complete(self, call: Call) -> Call | None:
        data = b"".join(call._parts)
        call._parts.clear()
        call._size, call._ended = 0, True
        if len(data) < 5 or int.from_bytes(data[1:5], "big") != len(data) - 5:
            self.fail(call, INTERNAL, "gateway.message")
            return None
        if data[0]:
            self.fail(call, UNIMPLEMENTED, "gateway.message")  # compressed, which we never said that we can read
            return None
        call.message = data[5:]
        return call

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            if payload:
                raise Http2Error(FRAME_SIZE_ERROR, "an acknowledgement with something in it")
            return
        if len(payload) % 6:
            raise Http2Error(FRAME_SIZE_ERROR, "settings that are cut off")
        if self._set:
            self._nuisance()
        self._set = True
        for name, value in _SETTING.iter_unpack(payload):
            if name == 4:
                if value > _LARGEST:
                    raise Http2Error(FLOW_CONTROL_ERROR, "a window that is too large")
                for stream in self._windows:
                    self._windows[stream] += value - self._initial
                self._initial = value
        self.out.append(_frame(SETTINGS, ACK, 0, b""))
        self._flush()

    def _window_grew(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(FRAME_SIZE_ERROR, "a window of another size")
        by = int.from_bytes(payload, "big") & _LARGEST
        if not by:
            raise Http2Error(PROTOCOL_ERROR, "a window that grows by nothing")
        if not stream:
            self._window += by
            if self._window > _LARGEST:
                raise Http2Error(FLOW_CONTROL_ERROR, "a window that is too large")
        elif stream in self.open or any(stream == one for one, _, _ in self._unsent):
            self._windows[stream] = self._windows.get(stream, self._initial) + by
            if self._windows[stream] > _LARGEST:
                raise Http2Error(FLOW_CONTROL_ERROR, "a window that is too large")
        self._flush()

    def _dropped(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(FRAME_SIZE_ERROR, "a reset of another size")
        if not stream or stream > self._last:
            raise Http2Error(PROTOCOL_ERROR, "a reset of a stream that was never opened")
        self._nuisance()
        self.open.pop(stream, None)
        self._windows.pop(stream, None)
        for one in [one for one in self._unsent if one[0] == stream]:
            self._unsent.remove(one)
            self._unsent_bytes -= len(one[2])

    def _send(self, stream: int, begun: bytes, data: bytes) -> None:
        """Send an answer now or when the client has room for the whole of it."""
        self.out.append(begun)
        ended = _frame(HEADERS, END_HEADERS | END_STREAM, stream, _WELL)
        if not self._unsent and self._fits(stream, data):
            self._write(stream, data, ended)
            return
        self._unsent.append((stream, data, ended))
        self._unsent_bytes += len(data)
        if self._unsent_bytes > UNREAD or len(self._unsent) > CALLS:
            raise Http2Error(ENHANCE_YOUR_CALM, "answers that nobody reads")

    def _fits(self, stream: int, data: bytes) -> bool:
        return len(data) <= self._window and len(data) <= self._windows.get(stream, self._initial)

    def _write(self, stream: int, data: bytes, ended: bytes) -> None:
        self._window -= len(data)
        self._windows.pop(stream, None)
        for at in range(0, len(data), MAX_FRAME):
            self.out.append(_frame(DATA, 0, stream, data[at : at + MAX_FRAME]))
        self.out.append(ended)

    def _flush(self) -> None:
        for one in tuple(self._unsent):
            if self._fits(one[0], one[1]):
                self._unsent.remove(one)
                self._unsent_bytes -= len(one[1])
                self._write(*one)

    def _nuisance(self) -> None:
        self._patience -= 1
        if self._patience < 0:
            raise Http2Error(ENHANCE_YOUR_CALM, "frames that are nothing but work")

    def _reset(self, stream: int, code: int) -> None:
        self.out.append(_frame(RST_STREAM, 0, stream, code.to_bytes(4, "big")))

    def _end(self, code: int) -> None:
        self.out.append(_frame(GOAWAY, 0, 0, self._last.to_bytes(4, "big") + code.to_bytes(4, "big")))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a header without a table (RFC 7541, section 6.2.2); both of less than 127 bytes."""
    return b"\0%c%b%c%b" % (len(name), name, len(value[:126]), value[:126])


def _declared(call: Call) -> int:
    """Return the size that an incomplete message says it will have; 0 where it has not said it yet."""
    head = call._parts[0] if len(call._parts[0]) >= 5 else b"".join(call._parts)
    return int.from_bytes(head[1:5], "big") if len(head) >= 5 else 0


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(PROTOCOL_ERROR, "padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]
