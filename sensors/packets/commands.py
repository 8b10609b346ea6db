"""Read what one side asks of another: remote procedure calls, named pipes, Modbus, ARP and a few odd commands.

Guarantees: bounded work on one payload; never raises; what isn't well formed gives nothing. DCE/RPC is read in
little-endian, connection-oriented form (C706 chapter 12), over TCP and inside SMB writes and transactions; fragments
after the first give nothing. What is encrypted stays unread (of a sealed call the number of the operation is plain).
Calls of a context whose bind was not seen have no interface. Sources: MS-RPCE, MS-SMB2, MS-CIFS, Modbus Application
Protocol 1.1b3, RFC 826, RFC 6520 (heartbeat), RFC 1035.
"""

import re
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sensors.packets.interfaces import INTERFACES

MAX_CONNECTIONS: Final = 8192
MAX_CONTEXTS: Final = 64
_DEPTH: Final = 320
_CALL = re.compile(rb"\x05\x00[\x00\x0b\x0e].\x10\x00\x00\x00", re.DOTALL)
_NULL_CREDENTIAL: Final = bytes(8)
_LONG_WORD = re.compile(rb"[^\s,:;()\"]{1,4096}")
_LISTS = ("EXPN", "VRFY")
"""Commands that need an argument, in one line that ends in CR LF (RFC 5321 4.1.1)."""
_PROTOCOLS = {21: "ftp", 25: "smtp", 587: "smtp", 110: "pop3", 143: "imap"}
_NETLOGON: Final = "netlogon"
_AUTHENTICATE: Final = (5, 15, 26)


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that was asked; see `sensors.values.COMMAND`."""

    protocol: str
    object: str
    name: str
    code: int = 0
    size: int = 0


class Calls:
    """Which interface each context of each connection stands for, of the latest `MAX_CONNECTIONS`."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[object, dict[tuple[bytes, int], str]] = OrderedDict()

    def read(self, connection: object, pipe: bytes, call: bytes) -> list[Command]:
        """Return what a call that begins the bytes asks; `pipe` tells apart what shares a connection."""
        kind = call[2]
        if kind in (11, 14):
            return self._bind(connection, pipe, call)
        if len(call) < 24 or not call[3] & 1:  # only first fragments tell the operation
            return []
        context, number = struct.unpack_from("<HH", call, 20)
        known = self._contexts.get(connection, {})
        interface = known.get((pipe, context), known.get((b"", context), ""))
        size = int.from_bytes(call[16:20], "little")
        name = "call"
        if interface == _NETLOGON and number in _AUTHENTICATE and _NULL_CREDENTIAL in call[24:]:
            name = "null credential"
        return [Command("dcerpc", interface, name, number, size)]

    def _bind(self, connection: object, pipe: bytes, call: bytes) -> list[Command]:
        found: list[Command] = []
        if len(call) < 28:
            return found
        contexts = self._contexts.setdefault(connection, {})
        self._contexts.move_to_end(connection)
        if len(self._contexts) > MAX_CONNECTIONS:
            self._contexts.popitem(last=False)
        at = 28
        for _ in range(min(call[24], 16)):
            if at + 24 > len(call):
                break
            context, transfers = struct.unpack_from("<HB", call, at)
            identity = str(UUID(bytes_le=call[at + 4 : at + 20]))
            interface = INTERFACES.get(identity, identity)
            if len(contexts) < MAX_CONTEXTS or (pipe, context) in contexts:
                contexts[pipe, context] = interface
                contexts[b"", context] = interface
            found.append(Command("dcerpc", interface, "bind"))
            at += 24 + 20 * transfers
        return found[:1] if len({each.object for each in found}) == 1 else found


def smb(calls: Calls, connection: object, message: bytes) -> list[Command]:
    """Return what an SMB request asks: a pipe or file that is opened, a remote call, a compressed message."""
    body = message[4:]
    if len(body) < 32:
        return []
    if body[:1] == b"\xfc":
        original, _, _, offset = struct.unpack_from("<IHHI", body, 4)
        return [Command("smb", "", "compressed", offset, original)]
    if body[:1] == b"\xfe" and body[12] == 5:
        return _opened(body)
    if body[:1] == b"\xff" and body[4] in (0xA2, 0x2D):
        return _opened_before(body)
    found = _CALL.search(message, 36, _DEPTH)
    if found is None:
        return []
    pipe = b""
    if body[:1] == b"\xfe":
        at = 64 + (16 if body[12] == 9 else 8)
        pipe = body[at : at + 16]
    return calls.read(connection, pipe, message[found.start() :])


def _opened(body: bytes) -> list[Command]:
    if len(body) < 120:
        return []
    at, size = struct.unpack_from("<HH", body, 64 + 44)
    name = body[at : at + min(size, 1024)].decode("utf-16-le", "replace")
    return [Command("smb", _plain(name), "open")] if name else []


def _opened_before(body: bytes) -> list[Command]:
    """Read the name in SMB1's NT_CREATE_ANDX and OPEN_ANDX: the rest of the message, in either encoding."""
    words = body[32] if len(body) > 32 else 0
    at = 33 + 2 * words + 2
    raw = body[at : at + 1024]
    wide = len(raw) > 3 and (raw[1:2] == b"\0" or raw[2:3] == b"\0")
    text = (raw[1:] if raw[:1] == b"\0" else raw).decode("utf-16-le" if wide else "latin-1", "replace")
    name = text.partition("\0")[0]
    return [Command("smb", _plain(name), "open")] if name else []


def modbus(message: bytes) -> list[Command]:
    """Return the function that a request calls for, as `code`; `object` is the unit, `size` the length."""
    if len(message) < 8:
        return []
    length, unit, function = struct.unpack_from("!HBB", message, 4)
    if not 2 <= length <= 254:
        return []
    return [Command("modbus", str(unit), _modbus_name(function), function, length)]


def _modbus_name(function: int) -> str:
    if function in (1, 2, 3, 4):
        return "read"
    if function in (5, 6, 15, 16, 22, 23):
        return "write"
    return "other"


def heartbeat(record: bytes) -> list[Command]:
    """Return a plain heartbeat request: `code` is the length that it claims, `size` that of its record."""
    size = int.from_bytes(record[3:5], "big")
    if size < 3 or len(record) < 8 or record[5] != 1:
        return []
    return [Command("tls", "", "heartbeat", int.from_bytes(record[6:8], "big"), size)]


def long_answer(message: bytes) -> list[Command]:
    """Return the type of question and the length of a DNS answer of more than 32 KiB over TCP."""
    size = int.from_bytes(message[:2], "big")
    if len(message) < 20 or not message[4] & 0x80 or message[6:8] != b"\0\1":
        return []
    at = 14
    for _ in range(128):
        if at >= len(message) or message[at] == 0 or message[at] > 63:
            break
        at += 1 + message[at]
    return [Command("dns", "", "answer", int.from_bytes(message[at + 1 : at + 3], "big"), size)]


def line(message: bytes, port: int) -> list[Command]:
    """Return the verb of a line of a mail or file protocol and the length of its longest word."""
    words = message[:4096].split(None, 2)
    if len(words) < 2:
        return []
    verb = words[1] if port == 143 else words[0]
    if not verb.isalpha() or len(verb) > 12:
        return []
    rest = message[:4096].partition(words[0])[2]
    longest = max((len(word) for word in _LONG_WORD.findall(rest)), default=0)
    name = verb.decode("ascii").upper()
    first, end, _ = rest.partition(b"\n")
    odd = name in _LISTS and bool(end) and (not first.strip() or not first.endswith(b"\r"))
    return [Command(_PROTOCOLS.get(port, "smtp"), "garbled" if odd else "", name, 0, longest)]


def _plain(text: str) -> str:
    """Return a name in lower case, without what isn't printable."""
    shown = text.rpartition("\\")[2].lower()[:128]
    return shown if shown.isprintable() else shown.encode("ascii", "backslashreplace").decode("ascii")
