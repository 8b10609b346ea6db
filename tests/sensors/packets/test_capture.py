"""Captures as files: damage at any place, compression, streams, and agreement with scapy."""

import gzip
import random
from collections import Counter
from io import BytesIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sensors.addresses import address_text
from sensors.errors import UnreadableInputError
from sensors.packets.capture import CaptureSource
from sensors.registry import Input, open_source, recognise
from sensors.settings import SensorSettings
from sensors.values import Kind

A, B = "10.0.0.1", "10.0.0.2"
PROPERTY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A small capture of everything, as pcap and as pcapng."""
    from scapy.layers.dns import DNS, DNSQR
    from scapy.layers.inet import IP, TCP, UDP, fragment
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Dot1Q, Ether
    from scapy.utils import PcapNgWriter, PcapWriter

    packets = [
        Ether() / IP(src=A, dst=B) / UDP(sport=4, dport=53) / DNS(qd=DNSQR(qname="www.example.com")),
        Ether() / IP(src=A, dst=B) / TCP(sport=5, dport=80, flags="PA") / b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        Ether() / Dot1Q(vlan=3) / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=5, dport=80, flags="S"),
        *fragment(Ether() / IP(src=A, dst=B, id=9) / UDP(sport=7, dport=8) / bytes(200), fragsize=64),
    ]
    out = []
    for writer in (PcapWriter, PcapNgWriter):
        path = tmp_path_factory.mktemp("originals") / "capture"
        sink = writer(str(path))
        for i, packet in enumerate(packets):
            packet.time = 1_700_000_000 + i
            sink.write(packet)
        sink.close()
        out.append(path.read_bytes())
    return out


def test_the_originals_are_read_whole(originals, read):
    for capture in originals:
        outcome = read(capture)
        assert (outcome.counters.parsed, outcome.counters.malformed) == (7, 0)
        assert (len(outcome.ends), len(outcome.dns), len(outcome.http)) == (4, 1, 1)


@PROPERTY
@given(st.integers(0, 1), st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 7)), min_size=1, max_size=6))
def test_flipped_bits(originals, read, which, flips):
    capture = bytearray(originals[which])
    for place, bit in flips:
        at = 4 + int(place * (len(capture) - 4))
        capture[at] ^= 1 << bit
    read(bytes(capture))


@PROPERTY
@given(st.integers(0, 1), st.floats(0, 1))
@example(0, 1.0)
def test_cut_anywhere(originals, read, which, place):
    head = (24, 28)[which]
    capture = originals[which]
    outcome = read(capture[: head + int(place * (len(capture) - head))])
    assert outcome.counters.malformed <= 1


@PROPERTY
@given(st.integers(0, 1), st.floats(0, 1), st.binary(min_size=1, max_size=64))
def test_garbage_put_in_anywhere_costs_little(originals, read, which, place, garbage):
    head = (24, 28)[which]
    capture = originals[which]
    at = head + int(place * (len(capture) - head))
    read(capture[:at] + garbage + capture[at:])


def test_a_whole_file_of_noise(build, read):
    noise = random.Random(4).randbytes(200_000)
    section = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000")
    for start in (build.pcap([]), section):
        assert read(start + noise).counters.malformed > 0


def test_agreement_with_scapy_on_packets_and_bytes_of_each_pair(build, read):
    """Random packets, counted by 5-tuple in both directions by scapy."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.l2 import Ether

    chance = random.Random(7)
    frames, expected = [], Counter()
    for i in range(400):
        src, dst = (f"10.0.0.{chance.randint(1, 3)}" for _ in range(2))
        layer = chance.choice([TCP, UDP])(sport=chance.randint(1, 3), dport=chance.randint(1, 3))
        if TCP in layer:
            layer.flags = "A"
        raw = bytes(Ether() / IP(src=src, dst=dst) / layer / bytes(chance.randint(0, 30)))
        seen = Ether(raw)[IP]
        ends = frozenset([(seen.src, seen.sport), (seen.dst, seen.dport)])
        expected[seen.proto, ends] += 1
        expected[seen.proto, ends, "bytes"] += seen.len
        frames.append((i / 100, raw))
    found = Counter()
    for row in read(build.pcap(frames)).ends:
        orig = address_text(int(row["orig_hi"]), int(row["orig_lo"])), int(row["orig_port"])
        resp = address_text(int(row["resp_hi"]), int(row["resp_lo"])), int(row["resp_port"])
        key = int(row["proto"]), frozenset([orig, resp])
        found[key] += int(row["orig_packets"]) + int(row["resp_packets"])
        found[*key, "bytes"] += int(row["orig_ip_bytes"]) + int(row["resp_ip_bytes"])
    assert found == expected


def test_gzip_and_the_registry(originals, tmp_path):
    path = tmp_path / "nothing-in-the-name"
    path.write_bytes(gzip.compress(originals[0]))
    assert recognise(path).name == "pcap"
    source = open_source(Input(path, "typed", SensorSettings(), 0))
    assert {kind for batch in source.batches() for kind in batch.tables} == {Kind.FLOW, Kind.DNS, Kind.HTTP}
    assert (source.name, source.counters.parsed) == ("typed", 7)
    assert source.counters.bytes == source.size


def test_damaged_gzip_keeps_what_came_before(originals, tmp_path):
    path = tmp_path / "x.gz"
    packed = gzip.compress(originals[0], compresslevel=0)
    path.write_bytes(packed[:-200])
    source = CaptureSource.open(path, "x", SensorSettings())
    list(source.batches())
    assert [fault.code for fault in source.counters.faults] == ["capture.gzip", "capture.cut"]
    assert source.counters.parsed >= 4


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream(originals, packed):
    capture = gzip.compress(originals[1]) if packed else originals[1]
    source = CaptureSource.from_stream(BytesIO(capture), "-", SensorSettings())
    list(source.batches())
    assert source.counters.parsed == 7


def test_a_stream_that_is_too_long_is_cut_and_counted(originals, monkeypatch):
    monkeypatch.setattr("sensors.packets.capture.MAX_SPOOL", 300)
    monkeypatch.setattr("sensors.packets.capture._BLOCK", 100)
    source = CaptureSource.from_stream(BytesIO(originals[0]), "-", SensorSettings())
    list(source.batches())
    assert source.counters.faults[0].code == "capture.long"


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3\xb2\xa1", b"no capture at all, only text", b"\x1f\x8bnonsense"])
def test_what_is_no_capture_cannot_be_opened(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError):
        CaptureSource.open(path, "x", SensorSettings())


def test_a_missing_file_and_a_folder_cannot_be_opened(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UnreadableInputError):
            CaptureSource.open(path, "x", SensorSettings())


def test_a_stopped_source_still_ends_its_flows(originals, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(originals[0])
    asked = iter([False, True])
    source = CaptureSource(path.open("rb"), "x", SensorSettings(), chunk=2)
    batches = list(source.batches(lambda: next(asked)))
    assert source.counters.read == 2
    assert (batches[-1].tables[Kind.FLOW]["event"] == 2).all()
