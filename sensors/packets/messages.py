"""Make HTTP, FILE and COMMAND rows of the packets that were chosen; keep what must be known between packets, bounded.

Guarantees: a request waits for its answer for at most `PATIENCE_S` s and gives its row then with status 0; rows become
known at the packet, or whole second, that leads to them, so they don't depend on how packets are cut into calls. At
most `MAX_WAITING` requests wait (the oldest is told at once) and `MAX_BODIES` responses are followed.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensors.addresses import address_text
from sensors.packets import commands, greetings, http, responses, tls
from sensors.packets.columns import (
    BELOW,
    HINT_BINARY,
    HINT_BODY,
    HINT_COMMAND,
    HINT_FIRST,
    HINT_RESPONSE,
    HINT_STREAM,
    HINT_TEXT,
    Bytes,
    Numbers,
)
from sensors.packets.commands import Calls, Command
from sensors.packets.handshakes import Handshakes
from sensors.packets.magic import PICTURES, magic_of
from sensors.packets.pages import marks_in
from sensors.packets.rows import Latest, Texts, Told
from sensors.values import Kind, Rows

PATIENCE_S: Final = 5
MAX_WAITING: Final = 1 << 16
MAX_BODIES: Final = 8192
MAX_SEEN: Final = 1 << 14
MAX_BYTES: Final = 1 << 16
PIPES: Final = frozenset((
    "svcctl", "atsvc", "winreg", "samr", "lsarpc", "lsass", "netlogon", "srvsvc", "wkssvc", "protected_storage",
    "epmapper", "spoolss", "efsrpc", "eventlog", "ntsvcs",
))  # fmt: skip
PROGRAM_NAMES: Final = (".exe", ".dll", ".bat", ".cmd", ".ps1", ".vbs", ".scr", ".sys", ".com", ".hta")
_WORDS = (b"clsid", b"activex", b"unescape", b"createobject", b"wscript", b"%u", b":\\")
_SECOND: Final = 1_000_000_000

Key: TypeAlias = tuple[int, int, int, int, int, int]
"""A connection: originator's and responder's halves, their ports."""

_address = lru_cache(1 << 14)(address_text)


@dataclass(slots=True)
class _Asked:
    """A request that waits for its answer."""

    due: int
    number: int
    key: Key
    request: http.Request
    told: bool = False


@dataclass(slots=True)
class _Body:
    """A response that is followed."""

    host: str
    path: str
    response: responses.Response
    marks: set[str] = field(default_factory=set)


class Messages:
    """What is understood in the payloads of one source."""

    def __init__(self) -> None:
        self._waiting: dict[Key, deque[_Asked]] = {}
        self._order: deque[_Asked] = deque()
        self._bodies: Latest[Key, _Body] = Latest(MAX_BODIES)
        self._calls = Calls()
        self._seen: Latest[tuple[int, int, str, int], None] = Latest(MAX_SEEN)
        self._handshakes = Handshakes()
        self._transfers: Latest[tuple[int, ...], None] = Latest(MAX_SEEN)

    def read(
        self, data: Bytes, packets: Rows, numbers: Numbers, asking: NDArray[np.bool_], texts: Texts, clock: int
    ) -> dict[Kind, Rows]:
        """Return the rows that the chosen packets lead to, and those of requests whose patience ends by `clock` (ns).

        `asking` tells which of the packets in `numbers` begin a request.
        """
        told = Told(texts)
        chosen = packets[numbers]
        begins = (chosen["offset"] + chosen["payload"]).tolist()
        sizes = np.minimum(
            np.minimum(chosen["payload_bytes"], chosen["captured"] - np.minimum(chosen["payload"], chosen["captured"])),
            MAX_BYTES,
        ).tolist()
        columns = chosen[
            ["at", "number", "status", "hint", "seq", "src_hi", "src_lo", "dst_hi", "dst_lo", "src_port", "dst_port"]
        ]
        for begin, size, asks, column in zip(begins, sizes, asking.tolist(), columns.tolist(), strict=True):
            at, number, status, hint, seq, *ends = column
            self._expire(told, at)
            if status == BELOW:
                _arp(told, data[begin : begin + 42].tobytes(), at, number)
                continue
            payload = data[begin : begin + size].tobytes()
            key: Key = (ends[0], ends[1], ends[2], ends[3], ends[4], ends[5])
            if asks:
                self._ask(told, payload, at, number, key)
            else:
                self._message(told, payload, at, number, hint, seq, key)
        self._expire(told, clock)
        return told.tables()

    def pass_time(self, texts: Texts, clock: int) -> dict[Kind, Rows]:
        """Return the rows of requests whose patience ends by `clock` (ns)."""
        told = Told(texts)
        self._expire(told, clock)
        return told.tables()

    def finish(self, texts: Texts, clock: int) -> dict[Kind, Rows]:
        """Return the rows of all requests that still wait."""
        told = Told(texts)
        while self._order:
            self._give_up(told, clock, self._order.popleft())
        self._handshakes.finish(told, clock)
        return told.tables()

    def _message(self, told: Told, payload: bytes, at: int, number: int, hint: int, seq: int, key: Key) -> None:
        """Read one TCP payload that begins no request; `key` has its sender first."""
        if hint & HINT_RESPONSE:
            self._answer(told, payload, at, number, hint, _turned(key))
        elif hint & HINT_STREAM:
            self._handshakes.more(told, payload, seq, at, number, key)
        elif hint & HINT_COMMAND and payload[0] == tls.HANDSHAKE:
            self._handshakes.begin(told, payload, seq, at, number, key)
        elif hint & HINT_COMMAND:
            self._command(told, payload, at, number, key)
        elif hint & HINT_BINARY:
            magic = magic_of(payload) or magic_of(payload[4:])
            if magic:
                host = "ftp" if key[:4] in self._transfers else ""
                _file(told, at, number, _turned(key), _Body(host, "", responses.Response(0)), magic)
        else:
            body = self._bodies.get(_turned(key))
            if body is not None:
                self._content(told, payload, at, number, hint, _turned(key), body)

    def _ask(self, told: Told, payload: bytes, at: int, number: int, key: Key) -> None:
        asked = _Asked((at // _SECOND + 1 + PATIENCE_S) * _SECOND, number, key, http.parse(payload[: http.MAX_HEAD]))
        self._order.append(asked)
        self._waiting.setdefault(key, deque()).append(asked)
        if len(self._order) > MAX_WAITING:
            self._give_up(told, at, self._order.popleft())

    def _answer(self, told: Told, payload: bytes, at: int, number: int, hint: int, key: Key) -> None:
        response = responses.parse(payload)
        if response is None or response.status < 200:
            return
        host = path = ""
        waiting = self._waiting.get(key)
        if waiting:
            asked = waiting.popleft()
            if not waiting:
                del self._waiting[key]
            asked.told = True
            host, path = asked.request.host, asked.request.path
            _request_row(told, at, number, asked, response)
        self._bodies[key] = body = _Body(host, path, response)
        if response.body:
            self._content(told, response.body, at, number, hint, key, body)

    @staticmethod
    def _content(told: Told, payload: bytes, at: int, number: int, hint: int, key: Key, body: _Body) -> None:
        """Look at a piece of what a response carries."""
        magic = ""
        if hint & (HINT_FIRST | HINT_RESPONSE):
            payload = responses.beginning(body.response, payload)
            magic = magic_of(payload)
            if magic in PICTURES:
                magic = ""
        new = frozenset[str]()
        if hint & (HINT_TEXT | HINT_BODY):
            lower = payload.lower()
            if any(word in lower for word in _WORDS):
                new = marks_in(payload) - body.marks
                body.marks |= new
        if magic or new:
            _file(told, at, number, key, body, magic)

    def _command(self, told: Told, payload: bytes, at: int, number: int, key: Key) -> None:
        port, connection = key[5], key
        if payload[:3] == b"220":  # who offers FTP sends files over connections of their own
            self._transfers[key[:4]] = self._transfers[_turned(key)[:4]] = None
            return
        if port == 502 and payload[2:4] == b"\0\0":
            found = [each for each in commands.modbus(payload) if each.name != "read" or self._is_new(key, each)]
        elif payload[0] == 24:
            found = commands.heartbeat(payload)
        elif payload[:4] == b"SSH-":
            side, key, port = _sides(key)
            found = greetings.ssh(payload, side)
        elif payload[0] == 3:
            found = greetings.rdp(payload)
        elif greetings.settles_smb(payload):
            key, port = _turned(key), key[4]
            found = greetings.smb_dialect(payload)
        elif greetings.offers_smb(payload):
            found = greetings.smb_offer(payload)
        elif payload[0] == 5:
            found = self._calls.read(connection, b"", payload)
        elif payload[0] == 0 and payload[5:8] == b"SMB":
            found = [each for each in commands.smb(self._calls, connection, payload) if _matters(each)]
        elif key[4] == 53:
            found, key = commands.long_answer(payload), key
        else:
            found = commands.line(payload, port)
        for each in found:
            _command_row(told, at, number, _address(key[0], key[1]), _address(key[2], key[3]), port, each)

    def _is_new(self, key: Key, command: Command) -> bool:
        """Tell whether this reading wasn't told yet."""
        seen = (key[1], key[3], command.object, command.code)
        if seen in self._seen:
            return False
        self._seen[seen] = None
        return True

    def _expire(self, told: Told, now: int) -> None:
        self._handshakes.expire(told, now)
        while self._order and (self._order[0].told or self._order[0].due <= now):
            asked = self._order.popleft()
            self._give_up(told, asked.due, asked)

    def _give_up(self, told: Told, ts: int, asked: _Asked) -> None:
        """Tell of a request that got no answer."""
        if asked.told:
            return
        waiting = self._waiting[asked.key]
        waiting.popleft()  # the oldest of its connection is the oldest of all
        if not waiting:
            del self._waiting[asked.key]
        _request_row(told, ts, asked.number, asked, responses.Response(0))


def _turned(key: Key) -> Key:
    return key[2], key[3], key[0], key[1], key[5], key[4]


def _sides(key: Key) -> tuple[str, Key, int]:
    """Return which side speaks, the key with the client first, and the server's port, the lower one."""
    client = key[5] <= key[4]
    return ("client", key, key[5]) if client else ("server", _turned(key), key[4])


def _matters(command: Command) -> bool:
    """Tell whether a file or pipe that is opened is to be told of."""
    return command.name != "open" or command.object in PIPES or command.object.endswith(PROGRAM_NAMES)


def _request_row(told: Told, ts: int, number: int, asked: _Asked, response: responses.Response) -> None:
    key, request = asked.key, asked.request
    names = (
        _address(key[0], key[1]), _address(key[2], key[3]), request.host, request.method, request.path, request.agent,
        request.referrer,
    )  # fmt: skip
    told.add(Kind.HTTP, ts, number, *told.codes(*names), 0, response.status, response.length)


def _file(told: Told, ts: int, number: int, key: Key, body: _Body, magic: str) -> None:
    names = (body.host, body.path, body.response.mime, magic, " ".join(sorted(body.marks)))
    ends = told.codes(_address(key[0], key[1]), _address(key[2], key[3]))
    told.add(Kind.FILE, ts, number, *ends, key[5], *told.codes(*names), body.response.length)


def _command_row(told: Told, ts: int, number: int, orig: str, resp: str, port: int, command: Command) -> None:
    ends = told.codes(orig, resp)
    names = told.codes(command.protocol, command.object, command.name)
    told.add(Kind.COMMAND, ts, number, *ends, port, *names, command.code, command.size)


def _arp(told: Told, frame: bytes, ts: int, number: int) -> None:
    """Tell of an ARP packet for IPv4 on Ethernet (RFC 826); `object` is the card that claims to be `orig`."""
    kind, sender, target = int.from_bytes(frame[20:22], "big"), frame[28:32], frame[38:42]
    if kind not in (1, 2) or sender == bytes(4):  # a probe claims nothing
        return
    name = "announce" if sender == target else "request" if kind == 1 else "reply"
    command = Command("arp", frame[22:28].hex(":"), name, kind, 28)
    orig, resp = (_address(0, 0xFFFF00000000 | int.from_bytes(each, "big")) for each in (sender, target))
    _command_row(told, ts, number, orig, resp, 0, command)
