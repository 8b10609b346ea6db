"""Live capture, between network namespaces that the test makes itself."""

import os
import socket
import subprocess
import time

import pytest

from sensors.addresses import address_text
from sensors.errors import PrivilegeError, UnreadableInputError
from sensors.packets import live, ring
from sensors.packets.live import LiveSource
from sensors.settings import SensorSettings
from sensors.values import FlowEvent

NEAR, FAR = "192.0.2.1", "192.0.2.2"


@pytest.mark.root
def test_what_passes_an_interface_is_seen_once_in_both_directions(veth, collect, far):
    source = LiveSource(veth, SensorSettings())
    rows, count = collect(source, 2, lambda: far("ping", "-c", "3", "-i", "0.1", NEAR))
    pings = [row for row in rows if row["proto"] == 1 and row["event"] == FlowEvent.END]
    assert [(int(row["orig_packets"]), int(row["resp_packets"])) for row in pings] == [(3, 3)]
    assert address_text(int(pings[0]["orig_hi"]), int(pings[0]["orig_lo"])) == FAR
    assert count >= 5
    counters = source.counters
    assert (counters.dropped, counters.read) == (0, counters.parsed + counters.ignored + counters.malformed)


@pytest.mark.root
def test_empty_batches_move_the_watermark_and_end_idle_flows(veth):
    times = iter(range(2_000_000_000_000_000_000, 2**62, 1_000_000_000))
    source = LiveSource(veth, SensorSettings(), now=lambda: next(times))
    marks = []
    for batch in source.batches(lambda: len(marks) >= 3):
        marks.append(batch.watermark)
    assert marks == sorted(marks)
    assert marks[-1] > 1_900_000_000_000_000_000


@pytest.mark.root
def test_a_loopback_packet_counts_once(veth, collect):
    source = LiveSource("lo", SensorSettings())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rows, _ = collect(source, 1, lambda: [sender.sendto(b"x", ("127.0.0.1", 9)) for _ in range(5)])
    ends = {int(row["proto"]): int(row["orig_packets"]) for row in rows if row["event"] == FlowEvent.END}
    assert ends == {17: 5, 1: 5}  # and the ICMP answers that nobody listens


@pytest.fixture
def full(veth, monkeypatch):
    """Return a source whose ring of four blocks has been filled while nobody read."""
    monkeypatch.setattr(ring, "BLOCKS", 4)
    source = LiveSource("lo", SensorSettings())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while ring.struct.unpack_from("I", source._ring._map, 3 * ring.BLOCK_BYTES + ring._STATUS)[0] == 0:
            sender.sendto(b"x", ("127.0.0.1", 9))  # block after block is handed over
            time.sleep(0.01)
    return source


@pytest.mark.root
def test_the_kernel_has_room_while_a_batch_is_read(full, monkeypatch, collect):
    monkeypatch.setattr(live, "MOST_HELD", 1)
    held, feed = [], full._pipeline.feed
    monkeypatch.setattr(full._pipeline, "feed", lambda *given: held.append(full._ring._held) or feed(*given))
    collect(full, 1)
    assert len(held) >= 4
    assert set(held) == {1}


@pytest.mark.root
def test_a_ring_that_was_full_is_read_once(full, collect):
    rows, _ = collect(full, 1)
    frames = sum(int(row["orig_packets"]) + int(row["resp_packets"]) for row in rows if row["event"] == FlowEvent.END)
    assert 0 < frames == full.counters.parsed < 2 * ring.MOST_FRAMES


@pytest.mark.root
def test_an_interface_that_vanishes_ends_the_source(veth, collect):
    source = LiveSource(veth, SensorSettings())
    collect(source, 20, lambda: subprocess.run(["ip", "link", "del", veth], check=True))
    assert [fault.code for fault in source.counters.faults] == ["capture.interface"]


@pytest.mark.root
def test_an_interface_that_does_not_exist():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with pytest.raises(UnreadableInputError, match="no-such-if"):
        LiveSource("no-such-if", SensorSettings())


def test_without_the_capability_the_message_says_what_to_do(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(PrivilegeError, match=r"CAP_NET_RAW.*setcap"):
        LiveSource("eth0", SensorSettings())


@pytest.mark.root
def test_what_the_kernel_drops_is_counted_exactly(veth, send, collect, monkeypatch):
    monkeypatch.setattr(ring, "BLOCKS", 2)
    source = LiveSource(veth, SensorSettings(capture_filter="udp and dst port 9999"))
    send(8000, size=100)
    collect(source, 1)
    counters = source.counters
    assert counters.read + counters.kernel_dropped == 8000
    assert counters.kernel_dropped == counters.dropped > 0


@pytest.mark.root
def test_a_filter_holds_from_the_first_packet(veth, send, collect):
    source = LiveSource(veth, SensorSettings(capture_filter="udp src port 7001"))
    collect(source, 1, lambda: send(5, range(7000, 7003)))
    assert source.counters.read == 5


@pytest.mark.root
def test_flows_go_on_over_a_restart(veth, send, collect):
    settings = SensorSettings(capture_filter="udp dst port 9999")
    first = LiveSource(veth, settings, saved=b"")
    rows, _ = collect(first, 1, lambda: send(3))
    assert [row["event"] for row in rows] == [FlowEvent.START]
    second = LiveSource(veth, settings, saved=first.saved)
    rows, _ = collect(second, 1, lambda: send(4))
    assert rows == []
    last = LiveSource(veth, settings, saved=second.saved)
    last.saved = None
    rows, _ = collect(last, 1)
    assert [(int(row["event"]), int(row["orig_packets"])) for row in rows] == [(FlowEvent.END, 7)]


@pytest.mark.root
def test_saved_flows_that_are_damaged_are_a_fault(veth, collect):
    source = LiveSource(veth, SensorSettings(), saved=b"what is this")
    collect(source, 0.5)
    assert [fault.code for fault in source.counters.faults] == ["capture.state"]
