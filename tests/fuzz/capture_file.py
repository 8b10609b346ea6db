"""A capture file, pcap or pcapng, plain or gzip, as a stream from somebody else."""

from io import BytesIO

from sensors.errors import UnreadableInputError
from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings


def one(data: bytes) -> None:
    try:
        source = CaptureSource.from_stream(
            BytesIO(data),
            "fuzz",
            SensorSettings(max_flows=16),
        )
    except UnreadableInputError:
        return
    for _ in source.batches():
        pass
    counters = source.counters
    assert counters.parsed + counters.malformed + counters.ignored == counters.read
    assert 0 < counters.bytes <= source.size
