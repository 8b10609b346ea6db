"""The ring of recent packets: whose they are, how many, how old."""

import struct

import pytest

from sensors.addresses import address_halves
from sensors.packets import recent
from sensors.packets.capture import CaptureSource
from sensors.packets.recent import SNAP, RecentPackets
from sensors.settings import SensorSettings

A, B, C = "10.0.0.1", "192.0.2.9", "2001:db8::7"


def fed(tmp_path, capture, **settings):
    path = tmp_path / "capture"
    path.write_bytes(capture)
    source = CaptureSource(path.open("rb"), "capture", SensorSettings(deep_look="high", **settings))
    list(source.batches())
    return source.recent


def frames_of(capture):
    at, frames = 24, []
    while at < len(capture):
        size = struct.unpack_from("<I", capture, at + 8)[0]
        frames.append(capture[at + 16 : at + 16 + size])
        at += 16 + size
    return frames


def test_the_packets_of_one_entity(tmp_path, build):
    mine = [build.udp(A, 1, B, 2, bytes([at])) for at in range(5)] + [build.udp(B, 2, A, 1, b"back")]
    other = build.udp(B, 1, "10.0.0.3", 2, b"x")
    kept = fed(tmp_path, build.pcap([(at, frame) for at, frame in enumerate([*mine[:3], other, *mine[3:]])]))
    assert frames_of(kept.of(address_halves(A), 100)) == mine
    assert frames_of(kept.of(address_halves(A), 2)) == mine[-2:]
    assert kept.of(address_halves(C), 9) == b""


def test_it_is_bounded_and_keeps_the_latest(tmp_path, build):
    frames = [build.udp(A, 1, B, 2, bytes([at % 256]) * 900) for at in range(400)]
    kept = fed(tmp_path, build.pcap(list(enumerate(frames))), deep_look_bytes=1 << 16)
    found = frames_of(kept.of(address_halves(A), 10**6))
    assert found == frames[-len(found) :] and 60 < len(found) <= (1 << 16) // len(frames[0])


def test_the_table_of_frames_is_bounded(tmp_path, build, monkeypatch):
    monkeypatch.setattr(recent, "MAX_FRAMES", 16)
    frames = [build.udp(A, 1, B, 2, bytes([at])) for at in range(50)]
    assert frames_of(fed(tmp_path, build.pcap(list(enumerate(frames)))).of(address_halves(A), 99)) == frames[-16:]


def test_long_frames_are_cut(tmp_path, build):
    kept = fed(tmp_path, build.pcap([(0, build.udp(A, 1, B, 2, bytes(4000)))]))
    assert [len(frame) for frame in frames_of(kept.of(address_halves(A), 9))] == [SNAP]


def test_off_keeps_nothing(tmp_path, build):
    path = tmp_path / "capture"
    path.write_bytes(build.pcap([(0, build.udp(A, 1, B, 2, b"x"))]))
    assert CaptureSource(path.open("rb"), "capture", SensorSettings()).recent is None


@pytest.mark.parametrize("size", [1, SNAP])
def test_a_ring_holds_at_least_one_frame(size):
    assert RecentPackets(size).of((0, 0), 1) == b""
