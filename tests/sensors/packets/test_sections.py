"""What a pipeline hands on to be kept, read back by the reader of captures."""

import pytest

from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings

A, B = "10.0.0.1", "192.0.2.9"


def kept(tmp_path, capture, **settings):
    path = tmp_path / "capture"
    path.write_bytes(capture)
    source = CaptureSource(path.open("rb"), "capture", SensorSettings(**settings))
    parts = []
    source._pipeline.keep = lambda section, now: parts.append((section, now))
    list(source.batches())
    return b"".join(section for section, _ in parts), parts[0][1]


@pytest.mark.parametrize("what", ["headers", "whole"])
def test_the_same_flows_come_back(tmp_path, build, read, what):
    capture = build.pcap([(at, build.tcp(A, 5000, B, 80, "PA", b"secret" * 9, seq=1 + 54 * at)) for at in range(9)])
    section, now = kept(tmp_path, capture, keep_what=what)
    assert (b"secret" in section) is (what == "whole")
    assert now == build.base + 8 * 10**9
    before, after = read(capture), read(section)
    assert (after.counters.parsed, after.counters.malformed) == (9, 0)
    for name in ("ts", "orig_lo", "resp_port", "orig_packets", "orig_bytes", "orig_ip_bytes", "first", "last"):
        assert after.flows[name].tolist() == before.flows[name].tolist()
