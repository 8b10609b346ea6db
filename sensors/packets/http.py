"""Read HTTP/1 requests (RFC 9112) at the start of TCP segments, on any port.

Guarantees: at most the first `MAX_HEAD` bytes of a segment are looked at; a first line that the segment doesn't end is
kept, cut; bytes that aren't printable ASCII are written as \\xNN. At most `MAX_A_SECOND` requests a second of event
time are kept. Streams are not reassembled: headers in later segments are not seen, a request sent again counts again.
The status is the business of `messages`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from sensors.packets.columns import HINT_HTTP, PARSED, Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.values import Rows

MAX_HEAD: Final = 4096
MAX_A_SECOND: Final = 50_000

# Places in the state.
SECOND: Final = 0
COUNT: Final = 1
DROPPED: Final = 2
STATE_SIZE: Final = 3

_SECOND: Final = 1_000_000_000
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}
_KEPT = {b"host": "host", b"user-agent": "agent", b"referer": "referrer"}


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; "" is absent. `path` is the target as sent, with its query."""

    method: str
    path: str
    host: str = ""
    agent: str = ""
    referrer: str = ""


@kernel
def _is_first_line(data: Bytes, at: int, end: int) -> bool:
    """Tell whether the line at `at` ends in HTTP/1.x, or the bytes end before it does and its target is a path."""
    here = at
    while here < end and data[here] != 10:
        here += 1
    if here == end:
        here = at
        while data[here] != 32:
            here += 1
        return bool(data[here + 1] == 47)
    if data[here - 1] == 13:
        here -= 1
    if here - at < 14:
        return False
    here -= 9  # " HTTP/1.x"
    return bool(
        data[here] == 32
        and data[here + 1] == 72
        and data[here + 2] == 84
        and data[here + 3] == 84
        and data[here + 4] == 80
        and data[here + 5] == 47
        and data[here + 6] == 49
        and data[here + 7] == 46
    )


@kernel
def requests(data: Bytes, packets: Rows, count: int, found: Numbers, state: Numbers) -> int:
    """Write the indices of packets that begin a request into `found` (as long as `packets`); return how many."""
    written = 0
    for i in range(count):
        packet = packets[i]
        if packet["status"] != PARSED or packet["hint"] & HINT_HTTP == 0:
            continue
        at = packet["offset"] + packet["payload"]
        end = min(at + packet["payload_bytes"], packet["offset"] + packet["captured"])
        if not _is_first_line(data, at, min(end, at + MAX_HEAD)):
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


def parse(head: bytes) -> Request:
    """Return what the first bytes of a request say; never raises."""
    first, *lines = head.split(b"\n")
    method, _, rest = first.rstrip(b"\r").partition(b" ")
    path, space, version = rest.rpartition(b" ")
    if not (space and version.startswith(b"HTTP/")):
        path = rest
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            break
        kept = _KEPT.get(name.lower())
        if kept and kept not in fields:
            fields[kept] = _text(value.strip())
    return Request(_text(method), _text(path), **fields)


def _text(raw: bytes) -> str:
    text = raw.decode("ascii", "backslashreplace")
    return text if text.isprintable() else text.translate(_CONTROLS)


def head_of(data: Bytes, packet: np.void) -> bytes:
    """Return a copy of the first `MAX_HEAD` bytes of a packet's payload."""
    begin = int(packet["offset"]) + int(packet["payload"])
    size = min(int(packet["payload_bytes"]), int(packet["captured"]) - int(packet["payload"]), MAX_HEAD)
    return data[begin : begin + size].tobytes()
