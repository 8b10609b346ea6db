"""Questions of DNS over UDP and TCP. The first byte chooses which, and how much of the message was captured."""

import numpy as np

from sensors.packets import dns
from sensors.packets.columns import FAULT, HINT_DNS, PACKET, PARSED


def one(data: bytes) -> None:
    packets = np.zeros(1, PACKET)
    packet = packets[0]
    size = max(len(data) - 1, 0)
    cut = data[0] >> 1 if data else 0
    packet["proto"], packet["status"], packet["hint"] = (6 if data[:1] and data[0] & 1 else 17), PARSED, HINT_DNS
    packet["offset"], packet["payload"], packet["payload_bytes"] = min(1, len(data)), 0, size
    packet["captured"], packet["number"] = max(size - cut, 0), 1
    found, names = np.zeros(4, dns.QUESTION), np.zeros(4 * dns.MAX_NAME * 4, np.uint8)
    state, faults, noted = np.zeros(dns.STATE_SIZE, np.int64), np.zeros(4, FAULT), np.zeros(1, np.int64)
    view = np.frombuffer(data or b"\0", np.uint8)
    done, count = dns.questions(view, packets, 0, 1, found, names, state, faults, noted)
    assert done == 1
    if count:
        begin, length = int(found[0]["name"]), int(found[0]["length"])
        assert names[begin : begin + length].tobytes().decode("ascii").isprintable()
