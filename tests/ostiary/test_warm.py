"""The packet that warms a service up is a whole one, and goes all the way."""

import io

from ostiary import warm
from ostiary.settings import Settings
from sensors.packets.capture import CaptureSource
from sensors.values import Kind


def test_the_packet_gives_a_flow() -> None:
    capture = warm._HEADER + bytes(8) + len(warm._FRAME).to_bytes(4, "little") * 2 + warm._FRAME
    source = CaptureSource.from_stream(io.BytesIO(capture), "warm-up", Settings().sensors)
    rows = sum(len(batch.tables.get(Kind.FLOW, ())) for batch in source.batches())
    assert (source.counters.parsed, source.counters.malformed, rows) == (1, 0, 2)
    warm.warm_up(Settings())
