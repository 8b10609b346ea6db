"""SMB, DCE/RPC, Modbus, RDP, SSH, mail and file protocols: messages of a connection, as the sensor hands them on.

The input is a list of messages: a byte for the port, a byte for hint and side, two for the length, then the bytes.
"""

import numpy as np

from sensors.packets.columns import (
    HINT_BINARY,
    HINT_BODY,
    HINT_COMMAND,
    HINT_FIRST,
    HINT_RESPONSE,
    HINT_STREAM,
    HINT_TEXT,
    PACKET,
)
from sensors.packets.messages import Messages
from sensors.packets.rows import Texts

PORTS = (445, 502, 3389, 22, 25, 143, 53, 80, 443, 135, 21, 49_670)
HINTS = (
    HINT_COMMAND, HINT_COMMAND, HINT_COMMAND, HINT_COMMAND, HINT_RESPONSE | HINT_TEXT, HINT_BODY | HINT_TEXT,
    HINT_FIRST, HINT_BINARY, HINT_STREAM,
)  # fmt: skip
MOST = 16


def one(data: bytes) -> None:
    packets = np.zeros(MOST, PACKET)
    asking = np.zeros(MOST, np.bool_)
    at = count = 0
    while at + 4 < len(data) and count < MOST:
        size = min(data[at + 2] | data[at + 3] << 8, len(data) - at - 4)
        if size >= 8:  # shorter ones are never handed on
            packet, port = packets[count], PORTS[data[at] % len(PORTS)]
            packet["offset"], packet["captured"], packet["payload_bytes"] = at + 4, size, size
            packet["hint"], packet["number"], packet["seq"] = HINTS[data[at + 1] // 4 % len(HINTS)], count + 1, at
            packet["at"] = count * 1_500_000_000
            back = data[at + 1] & 1
            packet["src_lo"], packet["dst_lo"] = (2, 1) if back else (1, 2)
            packet["src_port"], packet["dst_port"] = (port, 5000) if back else (5000, port)
            asking[count] = data[at + 1] & 2 and not back
            count += 1
        at += 4 + size
    messages, texts = Messages(), Texts()
    view = np.frombuffer(data or b"\0", np.uint8)
    messages.read(view, packets, np.arange(count), asking[:count], texts, count * 1_500_000_000)
    messages.pass_time(texts, 60_000_000_000)
    messages.finish(texts, 60_000_000_000)
    for text in texts.all():
        text.encode()
