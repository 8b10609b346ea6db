"""Live capture, between network namespaces that the test makes itself."""

import ctypes
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from sensors.addresses import address_text
from sensors.errors import PrivilegeError, UnreadableInputError
from sensors.packets import ring
from sensors.packets.live import LiveSource
from sensors.settings import SensorSettings
from sensors.values import FlowEvent, Kind

NEAR_SPACE, FAR_SPACE = (f"ostiary-test-{os.getpid()}-{side}" for side in ("near", "far"))
NEAR, FAR = "192.0.2.1", "192.0.2.2"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)


def enter(path):
    """Move this thread, and the processes that it starts, into a network namespace."""
    with Path(path).open() as stream:
        assert ctypes.CDLL(None).setns(stream.fileno(), 0x40000000) == 0


@pytest.fixture
def veth():
    """The near one of a pair of interfaces; each is in a namespace of its own, and the test in that of the near one."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        run("ip", "netns", "add", NEAR_SPACE)
        run("ip", "netns", "add", FAR_SPACE)
        run("ip", "-n", NEAR_SPACE, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", FAR_SPACE)
        for space, link, address in ((NEAR_SPACE, "near", NEAR), (FAR_SPACE, "far", FAR)):
            run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", link)
            run("ip", "-n", space, "link", "set", link, "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
        enter(f"/run/netns/{NEAR_SPACE}")
        yield "near"
    finally:
        assert ctypes.CDLL(None).setns(home, 0x40000000) == 0
        os.close(home)
        for space in (NEAR_SPACE, FAR_SPACE):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


def collect(source, seconds, act=lambda: None):
    """Return the flow rows and the number of batches of a source; `act` runs after its first batch."""
    end, acted, rows, count = time.monotonic() + seconds, False, [], 0
    for batch in source.batches(lambda: time.monotonic() > end):
        if not acted:
            acted = True
            act()
        rows += list(batch.tables.get(Kind.FLOW, ()))
        count += 1
    return rows, count


@pytest.mark.root
def test_what_passes_an_interface_is_seen_once_in_both_directions(veth):
    source = LiveSource(veth, SensorSettings())
    rows, count = collect(
        source, 2, lambda: run("ip", "netns", "exec", FAR_SPACE, "ping", "-c", "3", "-i", "0.1", NEAR)
    )
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
def test_a_loopback_packet_counts_once(veth):
    source = LiveSource("lo", SensorSettings())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rows, _ = collect(source, 1, lambda: [sender.sendto(b"x", ("127.0.0.1", 9)) for _ in range(5)])
    ends = {int(row["proto"]): int(row["orig_packets"]) for row in rows if row["event"] == FlowEvent.END}
    assert ends == {17: 5, 1: 5}  # and the ICMP answers that nobody listens


@pytest.mark.root
def test_a_ring_that_was_full_is_read_once(veth, monkeypatch):
    monkeypatch.setattr(ring, "BLOCKS", 4)
    source = LiveSource("lo", SensorSettings())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while ring.struct.unpack_from("I", source._ring._map, 3 * ring.BLOCK_BYTES + ring._STATUS)[0] == 0:
            sender.sendto(b"x", ("127.0.0.1", 9))  # block after block is handed over while nobody reads
            time.sleep(0.01)
    rows, _ = collect(source, 1)
    frames = sum(int(row["orig_packets"]) + int(row["resp_packets"]) for row in rows if row["event"] == FlowEvent.END)
    assert 0 < frames == source.counters.parsed < 2 * ring.MOST_FRAMES


@pytest.mark.root
def test_an_interface_that_vanishes_ends_the_source(veth):
    source = LiveSource(veth, SensorSettings())
    collect(source, 20, lambda: run("ip", "link", "del", veth))
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
