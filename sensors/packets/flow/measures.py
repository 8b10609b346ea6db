"""What is measured of a flow's packets: the times between them and how even the bytes of a first payload are."""

from typing import Final

import numpy as np

from sensors.packets.columns import Bytes, Row
from sensors.packets.flow.nodes import SECOND
from sensors.packets.jit import kernel

LOOKED_AT: Final = 256
"""Bytes of a first payload that are looked at."""


@kernel
def entropy(data: Bytes, packet: Row) -> float:
    """Return the Shannon entropy of the first captured bytes of a payload, in bits a byte; 0 where there are none.

    n bytes have at most log2(n) bits a byte: short payloads look more even than they are.
    """
    begin = packet["offset"] + packet["payload"]
    end = min(begin + packet["payload_bytes"], packet["offset"] + packet["captured"])
    size = min(end - begin, LOOKED_AT)
    if packet["payload"] == 0 or size <= 0:
        return 0.0
    counts = np.zeros(256, np.uint16)
    for i in range(begin, begin + size):
        counts[data[i]] += 1
    total = 0.0
    for i in range(256):
        if counts[i] > 1:
            total += counts[i] * np.log2(float(counts[i]))
    return float(np.log2(float(size)) - total / size)


@kernel
def time_gap(node: Row, ts: int) -> None:
    """Take in the time of a packet that isn't the flow's first."""
    gap = (ts - node["arrived"]) / SECOND
    node["gap_squares"] += gap * gap
    node["arrived"] = ts


@kernel
def gaps(node: Row, packets: int) -> tuple[float, float]:
    """Return mean and standard deviation of the times between packets, in seconds."""
    if packets < 2:
        return 0.0, 0.0
    mean = (node["last"] - node["first"]) / SECOND / (packets - 1)
    return mean, np.sqrt(max(node["gap_squares"] / (packets - 1) - mean * mean, 0.0))
