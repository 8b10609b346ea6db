"""Records of classic pcap: byte orders, units, and what is wrong with them."""

import struct

import pytest

A, B = "10.0.0.1", "10.0.0.2"


def frames(build, count=5):
    return [(i * 0.25, build.udp(A, 1000 + i, B, 9, b"y" * 40)) for i in range(count)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [True, False])
def test_byte_orders_and_units(build, read, order, nano):
    flows = read(build.pcap(frames(build), order=order, nano=nano)).flows
    assert flows["first"][:5].tolist() == [build.base + i * 250_000_000 for i in range(5)]


def test_modified_pcap(build, read):
    frame = build.udp(A, 1, B, 9)
    head = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIIIIHBB", 1, 2, len(frame), len(frame), 0, 0, 0, 0) + frame
    assert read(head + record * 3).counters.parsed == 3


def test_a_lying_length_costs_one_record(build, read):
    capture = bytearray(build.pcap(frames(build)))
    size = (len(capture) - 24) // 5
    at = 24 + 2 * size + 8
    for lie in (0xFFFFFFFF, 0x3FFFF, 3):
        capture[at : at + 4] = struct.pack("<I", lie)
        counters = read(bytes(capture)).counters
        assert counters.malformed <= 2
        assert all(24 + 2 * size <= fault.offset < 24 + 3 * size for fault in counters.faults)
        assert counters.parsed == 4


def test_a_zero_length_record_is_one_fault(build, read):
    capture = build.pcap([(0, b""), (1, build.udp(A, 1, B, 9))])
    outcome = read(capture)
    assert [(fault.code, fault.offset, fault.line) for fault in outcome.counters.faults] == [("packet.empty", 40, 1)]
    assert outcome.counters.parsed == 1


def test_a_cut_file_says_where(build, read):
    capture = build.pcap(frames(build))
    outcome = read(capture[:-7])
    size = (len(capture) - 24) // 5
    assert outcome.counters.parsed == 4
    assert [(fault.code, fault.offset) for fault in outcome.counters.faults] == [("capture.cut", 24 + 4 * size)]


def test_a_cut_packet_counts_by_its_headers(build, read):
    frame = build.udp(A, 1, B, 9, b"z" * 500)
    flow = read(build.pcap([(0, frame)], snap=60)).ends[0]
    assert (flow["orig_bytes"], flow["orig_ip_bytes"]) == (500, 528)


def test_garbage_between_records_is_passed_over(build, read):
    one, two = build.pcap(frames(build, 3)), build.pcap(frames(build, 3))[24:]
    outcome = read(one + b"\xff" * 333 + two)
    assert outcome.counters.parsed == 6
    assert outcome.counters.malformed == 1


def test_only_garbage_ends(build, read):
    outcome = read(build.pcap([]) + bytes(range(256)) * 500)
    assert outcome.counters.parsed == 0
    assert outcome.counters.malformed >= 1
