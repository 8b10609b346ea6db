"""Frames of every link type, one after another: decoder, flow table and the readers of payloads behind them.

The input is a list of records: a byte for the link type, two for the length (little-endian), one for the time that
passes before, then the frame.
"""

import numpy as np

from sensors.packets.pipeline import Pipeline
from sensors.settings import SensorSettings
from sensors.values import Counters

LINKS = (1, 0, 108, 113, 276, 101, 12, 228, 229, 147)
STEPS = (0, 1_000, 40_000_000, 1_000_000_000, 61_000_000_000, 1_900_000_000_000, -5_000_000_000, 2**40)
MOST = 64


def one(data: bytes) -> None:
    counters = Counters()
    pipeline = Pipeline("fuzz", SensorSettings(max_flows=16), counters, 1)
    count = _fill(pipeline, data)
    if count:
        pipeline.feed(np.frombuffer(data, np.uint8), count)
    pipeline.pass_time(pipeline.clock + 10_000_000_000)
    pipeline.finish()
    assert counters.parsed + counters.malformed + counters.ignored == counters.read == count


def _fill(pipeline: Pipeline, data: bytes) -> int:
    at = count = 0
    ts = 1_700_000_000_000_000_000
    while at + 4 < len(data) and count < MOST:
        size = min(data[at + 1] | data[at + 2] << 8, len(data) - at - 4)
        ts += STEPS[data[at + 3] % len(STEPS)]
        packet = pipeline.packets[count]
        packet["link"] = LINKS[data[at] % len(LINKS)]
        packet["ts"], packet["number"] = ts, count + 1
        packet["offset"], packet["captured"], packet["wire"] = at + 4, size, size + (data[at + 3] & 0x80)
        at += 4 + size
        count += 1
    return count
