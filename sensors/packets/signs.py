"""Tell by its first bytes what a payload is: whose protocol it speaks, and whether it is worth parsing.

Guarantees: nothing outside the captured bytes is read; a sign depends on the one packet alone. `sign` is the `Service`
whose greeting or request the payload begins like (SSH: RFC 4253 4.2; TLS: RFC 8446 5.1; SMB: MS-CIFS, MS-SMB2; RDP:
RFC 1006; Modbus: MBAP header; MySQL and PostgreSQL: their handshakes); it counts only for the first payload of a
direction, which `flows` sees to. Few packets get `HINT_COMMAND`, and only those reach Python. ARP on Ethernet becomes
`BELOW`: understood, without a flow.
"""

from typing import Final

from sensors.packets.columns import (
    BELOW,
    HINT_BINARY,
    HINT_COMMAND,
    HINT_HTTP,
    HINT_RESPONSE,
    HINT_TEXT,
    IGNORED,
    PARSED,
    Bytes,
    Row,
)
from sensors.packets.jit import kernel
from sensors.packets.words import big16, big32, word32
from sensors.values import Rows, Service

_HTTP: Final = int(Service.HTTP)
_TLS: Final = int(Service.TLS)
_SSH: Final = int(Service.SSH)
_FTP: Final = int(Service.FTP)
_SMTP: Final = int(Service.SMTP)
_SMB: Final = int(Service.SMB)
_RDP: Final = int(Service.RDP)
_IMAP: Final = int(Service.IMAP)
_POP3: Final = int(Service.POP3)
_MODBUS: Final = int(Service.MODBUS)
_MYSQL: Final = int(Service.MYSQL)
_POSTGRESQL: Final = int(Service.POSTGRESQL)

_TCP: Final = 6
_ETHERNET: Final = 1
_MAIL_PORTS: Final = (21, 25, 110, 143, 587)
OVERLONG: Final = 250
"""Bytes of a command line from which it is looked at."""
HEAD: Final = 1024
"""Bytes in which the fields of a response's head are looked for."""
FAR: Final = 224
"""How deep a remote procedure call is looked for inside an SMB request."""


@kernel
def _arp(data: Bytes, packet: Row) -> bool:
    """Tell whether a frame is ARP for IPv4 on Ethernet (RFC 826)."""
    at = packet["offset"]
    if packet["link"] != _ETHERNET or packet["captured"] < 42:
        return False
    return big16(data, at + 12) == 0x0806 and big32(data, at + 14) == 0x00010800 and big16(data, at + 18) == 0x0604


@kernel
def _is_call(data: Bytes, at: int) -> bool:
    """Tell whether a DCE/RPC bind, alter-context or request begins here (C706 12.6; little-endian), 8 bytes."""
    return bool(
        data[at] == 5
        and data[at + 1] == 0
        and (data[at + 2] == 0 or data[at + 2] == 11 or data[at + 2] == 14)
        and data[at + 4] == 16
        and data[at + 5] == 0
    )


@kernel
def _has_call(data: Bytes, at: int, end: int) -> bool:
    for here in range(at, min(end - 8, at + FAR)):  # noqa: SIM110  # numba compiles no any()
        if _is_call(data, here):
            return True
    return False


@kernel
def _smb(data: Bytes, at: int, end: int) -> bool:
    """Tell whether an SMB message (after the 4-byte session header) asks for something that is worth reading."""
    if end - at < 40:
        return False
    first = data[at + 4]
    if first == 0xFC:
        return True
    if first == 0xFE:
        command = data[at + 16]
        if end - at < 80 or data[at + 20] & 1:  # a response; only the one that settles the dialect
            return bool(command == 0 and end - at >= 74)
        if command == 5:
            return True
        return bool((command == 9 or command == 11) and _has_call(data, at + 68, end))
    if data[at + 13] & 0x80:
        return False
    command = data[at + 8]
    if command == 0xA2 or command == 0x2D or command == 0x72:
        return True
    return bool((command == 0x25 or command == 0x2F) and _has_call(data, at + 36, end))


@kernel
def _upper(value: int) -> int:
    return value - 32 if 97 <= value <= 122 else value


@kernel
def _overlong(data: Bytes, at: int, end: int) -> bool:
    """Tell whether a line of a text protocol is suspiciously long, or asks for a list or a user (EXPN, VRFY)."""
    a, b = _upper(int(data[at])), _upper(int(data[at + 1]))
    c, d = _upper(int(data[at + 2])), _upper(int(data[at + 3]))
    if data[at + 4] == 32 and ((a == 69 and b == 88 and c == 80 and d == 78) or (a == 86 and b == 82 and c == 70)):
        return True
    if end - at < OVERLONG:
        return False
    return bool(data[at] > 32 and data[at] < 127 and _no_line(data, at, at + OVERLONG))


@kernel
def _no_line(data: Bytes, at: int, end: int) -> bool:
    for here in range(at, end):  # noqa: SIM110  # numba compiles no all()
        if data[here] == 10:
            return False
    return True


@kernel
def _program(data: Bytes, at: int, end: int) -> bool:
    """Tell whether bytes begin like a program for Windows (also behind a length of four bytes) or Linux."""
    if data[at] == 0x7F:
        return bool(data[at + 1] == 69 and data[at + 2] == 76 and data[at + 3] == 70)
    if data[at] == 77 and data[at + 1] == 90:
        return True
    return end - at >= 8 and data[at + 4] == 77 and data[at + 5] == 90


@kernel
def _text_sign(data: Bytes, at: int, end: int) -> int:
    """Return the service of a greeting in letters, or 0."""
    word = big32(data, at)
    if word == 0x5353482D:  # SSH-
        return _SSH
    if word == 0x48545450 and data[at + 4] == 47:  # HTTP/
        return _HTTP
    if word == 0x3232302D or word == 0x32323020:  # 220
        return _greeting(data, at, end)
    if word == 0x45484C4F or word == 0x48454C4F:  # EHLO, HELO
        return _SMTP
    if word == 0x2B4F4B20:  # +OK
        return _POP3
    if word == 0x2A204F4B:  # * OK
        return _IMAP
    return 0


@kernel
def _greeting(data: Bytes, at: int, end: int) -> int:
    """Return which of the two services that greet with 220 it is: the one that is named, FTP where none is."""
    for here in range(at, min(end - 4, at + 160)):
        if _upper(int(data[here])) == 77 and _upper(int(data[here + 1])) == 84 and _upper(int(data[here + 2])) == 80:
            return _SMTP
    return _FTP


@kernel
def _binary_sign(data: Bytes, at: int, end: int, size: int) -> int:
    """Return the service of a message in bytes, or 0; eight bytes are there."""
    first = data[at]
    if (20 <= first <= 24 and data[at + 1] == 3 and data[at + 2] <= 4) and big16(data, at + 3) > 0:
        return _TLS
    if first == 0:
        word = big32(data, at + 4)
        if word == 0xFE534D42 or word == 0xFF534D42 or word == 0xFC534D42:
            return _SMB
        if word == 0x00030000 and big32(data, at) == 8:
            return _POSTGRESQL
    if first == 3 and data[at + 1] == 0 and big16(data, at + 2) == size and data[at + 5] & 0xE0 == 0xE0:
        return _RDP
    if big32(data, at) == size and word32(data, at + 4, 1) == 0x00030000:
        return _POSTGRESQL
    if data[at + 3] == 0 and data[at + 4] == 10 and word32(data, at, 0) == size - 4:
        return _MYSQL
    return 0


@kernel
def _is_text(data: Bytes, at: int, end: int) -> bool:
    """Tell whether the head of a response declares text that isn't compressed, or nothing."""
    text = True
    here = at + 12
    last = min(end, at + HEAD)
    while here + 14 < last:
        if data[here] != 10:
            here += 1
            continue
        if data[here + 1] == 13 or data[here + 1] == 10:
            return text
        if _upper(int(data[here + 1])) == 67 and data[here + 8] == 45:  # Content-
            kind = _upper(int(data[here + 9]))
            if kind == 69:  # Encoding
                return False
            if kind == 84 and data[here + 13] == 58:  # Type:
                value = here + 14
                while value < last - 1 and data[value] == 32:
                    value += 1
                first = _upper(int(data[value]))
                second = _upper(int(data[value + 1]))
                # text/..., application/...
                text = (first == 84 and second == 69) or (first == 65 and second == 80 and _is_script(data, value, end))
        here += 1
    return text


@kernel
def _is_script(data: Bytes, at: int, end: int) -> bool:
    """Tell whether a media type that begins with application/ names a script or a page."""
    if at + 14 >= end:
        return False
    fourth = _upper(int(data[at + 12]))
    return bool(fourth == 74 or fourth == 69 or (fourth == 88 and _upper(int(data[at + 13])) in (72, 45)))


@kernel
def _heartbeat(data: Bytes, at: int) -> bool:
    return bool(data[at] == 24 and data[at + 1] == 3 and data[at + 2] <= 4)


@kernel
def _mark(data: Bytes, packet: Row) -> None:
    """Set sign and hints of one TCP packet with payload."""
    at = packet["offset"] + packet["payload"]
    size = packet["payload_bytes"]
    end = min(at + size, packet["offset"] + packet["captured"])
    if end - at < 8:
        return
    if packet["hint"] & HINT_HTTP:
        packet["sign"] = _HTTP
        return
    first = data[at]
    sign = _text_sign(data, at, end) if 32 <= first < 127 else _binary_sign(data, at, end, size)
    to = packet["dst_port"]
    if to == 502 and big16(data, at + 2) == 0 and big16(data, at + 4) <= 254:
        packet["hint"] |= HINT_COMMAND
        sign = _MODBUS
    elif sign == _HTTP:
        packet["hint"] |= HINT_RESPONSE
        if _is_text(data, at, end):
            packet["hint"] |= HINT_TEXT
    elif sign == _TLS and first == 22:
        if data[at + 5] <= 2:  # a hello
            packet["hint"] |= HINT_COMMAND
    elif sign in (_FTP, _SSH, _RDP):
        packet["hint"] |= HINT_COMMAND
    elif sign == _SMB:
        if _smb(data, at, end):
            packet["hint"] |= HINT_COMMAND
    elif (
        _heartbeat(data, at)
        or (_is_call(data, at) and end - at >= 24)
        or (to in _MAIL_PORTS and _overlong(data, at, end))
        or (packet["src_port"] == 53 and big16(data, at) > 0x8000)
    ):
        packet["hint"] |= HINT_COMMAND
    elif _program(data, at, end):
        packet["hint"] |= HINT_BINARY
    packet["sign"] = sign


@kernel
def mark(data: Bytes, packets: Rows, count: int) -> None:
    """Set `sign` and `hint` of the first `count` decoded packets."""
    for i in range(count):
        packet = packets[i]
        packet["sign"] = 0
        if packet["status"] == PARSED:
            if packet["proto"] == _TCP and packet["payload_bytes"] > 0 and packet["payload"] > 0:
                _mark(data, packet)
        elif packet["status"] == IGNORED and _arp(data, packet):
            packet["status"] = BELOW
            packet["hint"] = HINT_COMMAND
