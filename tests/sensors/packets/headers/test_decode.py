"""Headers: links, tags, extension headers, fragments, and headers that lie or end early."""

import struct

import pytest

A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"
UDP = struct.pack("!HHHH", 1111, 2222, 12, 0) + b"data"


def headers(build, link):
    packet = build.ip(17, UDP, A, B)
    return {
        "ethernet": (1, bytes(12) + b"\x08\x00" + packet),
        "vlan": (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00" + packet),
        "qinq": (1, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00" + packet),
        "cooked": (113, bytes(14) + b"\x08\x00" + packet),
        "cooked2": (276, b"\x08\x00" + bytes(18) + packet),
        "raw": (101, packet),
        "raw12": (12, packet),
        "ipv4": (228, packet),
        "null": (0, b"\x02\0\0\0" + packet),
        "null-swapped": (0, b"\0\0\0\x02" + packet),
        "loop": (108, b"\0\0\0\x02" + packet),
        "padded": (1, bytes(12) + b"\x08\x00" + packet + bytes(20)),
    }[link]


LINKS = "ethernet vlan qinq cooked cooked2 raw raw12 ipv4 null null-swapped loop padded"


@pytest.mark.parametrize("link", LINKS.split())
def test_links(build, read, link):
    kind, frame = headers(build, link)
    outcome = read(build.pcap([(0, frame)], link=kind))
    assert outcome.told[0] == ("START", "OTH", A, 1111, 2222)
    assert outcome.flows["orig_bytes"][0] == 4


@pytest.mark.parametrize("frame", [bytes(12) + b"\x08\x06" + bytes(28), bytes(12) + b"\x00\x26" + bytes(38)])
def test_what_is_not_ip_is_ignored(build, read, frame):
    counters = read(build.pcap([(0, frame)])).counters
    assert (counters.ignored, counters.malformed) == (1, 0)
    assert read(build.pcap([(0, frame)], link=195)).counters.ignored == 1


@pytest.mark.parametrize(
    "chain",
    [
        b"",
        bytes([17, 0]) + bytes(6),
        bytes([60, 1]) + bytes(14) + bytes([17, 0]) + bytes(6),
    ],
)
def test_ipv6_with_extension_headers(build, read, chain):
    first = 17 if not chain else 0
    frame = bytes(12) + b"\x86\xdd" + build.ip(first, chain + UDP, A6, B6)
    outcome = read(build.pcap([(0, frame)]))
    assert outcome.told[0] == ("START", "OTH", A6, 1111, 2222)
    assert outcome.flows["orig_ip_bytes"][0] == 40 + len(chain) + 12


def test_fragments_join_their_flow(build, read):
    first = build.ip(17, struct.pack("!HHHH", 1111, 2222, 40, 0) + bytes(16), A, B, piece=0x2000)
    later = build.ip(17, bytes(16), A, B, piece=3)
    other = build.ip(17, bytes(16), A, B, piece=3, ident=8)
    raw = build.pcap([(0, first), (0.1, later), (0.2, other)], link=101)
    ends = read(raw).ends
    assert ends["orig_packets"].tolist() == [2, 1]
    assert ends["orig_bytes"].tolist() == [32, 16]
    assert ends["orig_port"].tolist() == [1111, 0]
    long_after = build.pcap([(0, first), (31, later)], link=101)
    assert len(read(long_after).ends) == 2


def test_ipv6_fragments_join_their_flow(build, read):
    head = struct.pack("!BBHI", 17, 0, 1, 99)
    first = build.ip(44, head + struct.pack("!HHHH", 1111, 2222, 40, 0) + bytes(16), A6, B6)
    later = build.ip(44, struct.pack("!BBHI", 17, 0, 24, 99) + bytes(16), A6, B6)
    assert read(build.pcap([(0, first), (0.1, later)], link=101)).ends["orig_packets"].tolist() == [2]


def test_other_protocols_are_flows_by_number(build, read):
    frames = [
        (0, build.ip(47, bytes(10), A, B)),
        (0.1, build.ip(47, bytes(10), B, A)),
        (0.2, build.ip(50, bytes(9), A, B)),
    ]
    ends = read(build.pcap(frames, link=101)).ends
    assert ends["proto"].tolist() == [47, 50]
    assert ends["resp_packets"].tolist() == [1, 0]


def test_sctp_has_ports(build, read):
    frame = build.ip(132, struct.pack("!HHII", 5, 6, 0, 0) + bytes(4), A, B)
    assert read(build.pcap([(0, frame)], link=101)).told[0][3:] == (5, 6)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: b"\x15" + p[1:], "packet.ip"),
        (lambda p: b"\x44" + p[1:], "packet.ip"),
        (lambda p: p[:2] + b"\x00\x05" + p[4:], "packet.ip"),
        (lambda p: p[:19], "packet.cut"),
        (lambda p: p[:22], "packet.cut"),
        (lambda p: p[:24] + b"\x00\x03" + p[26:], "packet.transport"),
        (lambda p: p[:9] + b"\x06" + p[10:], "packet.cut"),
    ],
)
def test_headers_that_lie_or_end_early(build, read, change, code):
    outcome = read(build.pcap([(0, change(build.ip(17, UDP, A, B)))], link=101))
    assert [fault.code for fault in outcome.counters.faults] == [code]
    assert len(outcome.flows) == 0


def test_tcp_with_a_short_data_offset_is_malformed(build, read):
    frame = bytearray(build.tcp(A, 1, B, 2))
    frame[14 + 20 + 12] = 4 << 4
    assert read(build.pcap([(0, bytes(frame))])).counters.faults[0].code == "packet.transport"
