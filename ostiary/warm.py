"""Compile before the first packet comes: what is compiled at its first use would hold up the first attack.

A service says that it is ready only after one packet has gone all the way through sensor and risk core, and a line of
each format of logs that is read by the block where it reads logs; what they keep of it is thrown away.
"""

import io
import struct

import risk.warm
import sensors.warm
from ostiary.settings import Settings
from risk.engine import RiskEngine
from sensors.packets.capture import CaptureSource

_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_FRAME = bytes.fromhex(
    "02000000000202000000000108004500001c00010000401100000a0000010a000002"  # Ethernet, IPv4
    "04d204d300080000"  # UDP without payload
)


def warm_up(settings: Settings) -> None:
    """Take one packet through the kernels; compiled code that is in the cache makes this a matter of milliseconds."""
    capture = _HEADER + struct.pack("<IIII", 0, 0, len(_FRAME), len(_FRAME)) + _FRAME
    engine = RiskEngine(settings.risk)
    risk.warm.warm_up()
    if settings.sensors.logs:
        sensors.warm.warm_up()
    for batch in CaptureSource.from_stream(io.BytesIO(capture), "warm-up", settings.sensors).batches():
        engine.observe(batch)
