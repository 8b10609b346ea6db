"""Choose the few packets whose payload Python is to read, in order, at most `MAX_A_SECOND` a second of event time.

What is chosen: heads of HTTP responses and the payload after them; text of a response that holds one of a few words
that pages with active content hold; what `signs` gave `HINT_COMMAND`; programs at the beginning of a stream; what goes
on with a TLS handshake.
"""

from typing import Final

import numpy as np

from sensors.packets import streams
from sensors.packets.columns import (
    HINT_BINARY,
    HINT_BODY,
    HINT_COMMAND,
    HINT_FIRST,
    HINT_RESPONSE,
    HINT_STREAM,
    IGNORED,
    MALFORMED,
    PARSED,
    Bytes,
    Numbers,
    Row,
)
from sensors.packets.jit import kernel
from sensors.values import Rows, Service

MAX_A_SECOND: Final = 20_000

# Places in the state.
SECOND: Final = 0
COUNT: Final = 1
DROPPED: Final = 2
STATE_SIZE: Final = 3

_SECOND: Final = 1_000_000_000
_ALWAYS: Final = HINT_RESPONSE | HINT_COMMAND | HINT_FIRST | HINT_BINARY | HINT_STREAM
_TCP: Final = 6
_TLS: Final = int(Service.TLS)
_HANDSHAKE: Final = 22
_CLSID: Final = np.frombuffer(b"clsid:", np.uint8)
_CREATE: Final = np.frombuffer(b"createobject", np.uint8)
_ACTIVEX: Final = np.frombuffer(b"activex", np.uint8)
_UNESCAPE: Final = np.frombuffer(b"unescape(", np.uint8)
_WSCRIPT: Final = np.frombuffer(b"wscript.", np.uint8)


@kernel
def _has(data: Bytes, at: int, end: int, word: Bytes) -> bool:
    """Tell whether a word, in lower case, stands here in any case."""
    if at + word.size > end:
        return False
    for i in range(word.size):
        value = data[at + i]
        if 65 <= value <= 90:
            value += 32
        if value != word[i]:
            return False
    return True


@kernel
def _is_active(data: Bytes, at: int, end: int) -> bool:
    """Tell whether text holds a word of active content, or two characters written as %uXXXX side by side."""
    for here in range(at, end - 8):
        value = data[here]
        if value == 37:  # %
            if data[here + 1] == 117 and data[here + 6] == 37 and data[here + 7] == 117:
                return True
            continue
        if value == 58:  # the place of a file
            if data[here + 1] == 92:
                return True
            continue
        value |= 32
        if value == 99:  # c
            if _has(data, here, end, _CLSID) or _has(data, here, end, _CREATE):
                return True
        elif value == 97:  # a
            if _has(data, here, end, _ACTIVEX):
                return True
        elif value == 117:  # u
            if _has(data, here, end, _UNESCAPE):
                return True
        elif value == 119 and _has(data, here, end, _WSCRIPT):  # w
            return True
    return False


@kernel
def _follow(data: Bytes, packet: Row, followed: Rows) -> None:
    """Give `HINT_STREAM` to what goes on with a handshake; note what begins one."""
    if packet["sign"] == _TLS and packet["hint"] & HINT_COMMAND and packet["payload"] > 0:
        if data[packet["offset"] + packet["payload"]] == _HANDSHAKE:
            streams.begin(data, packet, followed)
    elif streams.goes_on(packet, followed):
        packet["hint"] |= HINT_STREAM


@kernel
def choose(data: Bytes, packets: Rows, count: int, found: Numbers, state: Numbers, followed: Rows) -> int:
    """Write the indices of the packets to read into `found` (as long as `packets`); return how many."""
    written = 0
    for i in range(count):
        packet = packets[i]
        if packet["proto"] == _TCP and packet["status"] == PARSED and packet["payload_bytes"] > 0:
            _follow(data, packet, followed)
        hint = packet["hint"]
        if hint & (_ALWAYS | HINT_BODY) == 0 or packet["status"] == MALFORMED or packet["status"] == IGNORED:
            continue
        if hint & _ALWAYS == 0:
            at = packet["offset"] + packet["payload"]
            end = min(at + packet["payload_bytes"], packet["offset"] + packet["captured"])
            if not _is_active(data, at, end):
                continue
        second = packet["at"] // _SECOND
        if second != state[SECOND]:
            state[SECOND] = second
            state[COUNT] = 0
        state[COUNT] += 1
        if state[COUNT] > MAX_A_SECOND:
            state[DROPPED] += 1
            continue
        found[written] = i
        written += 1
    return written
