"""Blocks of pcapng: byte orders, sections, interfaces, resolutions, and what is wrong with them."""

import struct

import pytest

A, B = "10.0.0.1", "10.0.0.2"
T = 1_700_000_000


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order):
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order, link=1, snap=0, options=b""):
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options)


def option(order, code, value):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(order, number, ticks, frame, captured=None):
    size = len(frame) if captured is None else captured
    return block(
        order, 6, struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, size, len(frame)) + frame
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "ns"),
    [
        (None, T * 10**6 + 5, T * 10**9 + 5000),
        (3, T * 1000 + 7, T * 10**9 + 7_000_000),
        (9, T * 10**9 + 11, T * 10**9 + 11),
        (0, T, T * 10**9),
        (0x80 | 10, (T << 10) + 512, T * 10**9 + 500_000_000),
    ],
)
def test_resolutions(build, read, order, resolution, ticks, ns):
    options = b"" if resolution is None else option(order, 9, bytes([resolution])) + option(order, 0, b"")
    capture = section(order) + interface(order, options=options) + enhanced(order, 0, ticks, build.udp(A, 1, B, 2))
    assert read(capture).flows["first"][0] == ns


def test_an_offset_in_seconds(build, read):
    capture = section("<") + interface("<", options=option("<", 14, struct.pack("<q", -100)))
    capture += enhanced("<", 0, T * 10**6, build.udp(A, 1, B, 2))
    assert read(capture).flows["first"][0] == (T - 100) * 10**9


def test_sections_of_both_orders_with_interfaces_of_their_own(build, read):
    frame = build.udp(A, 1, B, 2)
    capture = section("<") + interface("<") + interface("<", link=101)
    capture += enhanced("<", 0, T * 10**6, frame) + enhanced("<", 1, T * 10**6 + 1, frame[14:])
    capture += section(">") + interface(">", link=101) + enhanced(">", 0, T * 10**6 + 2, frame[14:])
    outcome = read(capture)
    assert outcome.counters.parsed == 3
    assert outcome.ends["orig_packets"].tolist() == [3]


def test_simple_and_obsolete_blocks(build, read):
    frame = build.udp(A, 1, B, 2, b"q" * 100)
    capture = section("<") + interface("<", snap=60)
    old = struct.pack("<HHIIII", 0, 0, (T * 10**6) >> 32, (T * 10**6) & 0xFFFFFFFF, len(frame), len(frame)) + frame
    capture += block("<", 2, old) + block("<", 3, struct.pack("<I", len(frame)) + frame[:60])
    flow = read(capture).ends[0]
    assert (flow["orig_packets"], flow["orig_bytes"], flow["first"], flow["last"]) == (2, 200, T * 10**9, T * 10**9)


def test_faults_cost_one_block_each(build, read):
    frame = build.udp(A, 1, B, 2)
    good = enhanced("<", 0, T * 10**6, frame)
    bad = bytearray(good)
    bad[4] ^= 0x40  # the first length
    for broken, code in (
        (enhanced("<", 7, T * 10**6, frame), "capture.interface"),
        (enhanced("<", 0, 2**63, frame), "capture.time"),
        (enhanced("<", 0, T * 10**6, frame, captured=5000), "capture.record"),
        (bytes(bad), "capture.record"),
    ):
        capture = section("<") + interface("<") + good
        outcome = read(capture + broken + good)
        assert [(fault.code, fault.offset) for fault in outcome.counters.faults] == [(code, len(capture))]
        assert outcome.counters.parsed == 2


def test_a_cut_file_says_where(build, read):
    head = section("<") + interface("<")
    last = enhanced("<", 0, T * 10**6, build.udp(A, 1, B, 2))
    outcome = read(head + last + last[:-9])
    assert [(fault.code, fault.offset) for fault in outcome.counters.faults] == [("capture.cut", len(head + last))]


def test_too_many_interfaces_are_counted(build, read):
    capture = section("<") + interface("<") * 1030 + enhanced("<", 1023, T * 10**6, build.udp(A, 1, B, 2))
    outcome = read(capture)
    assert (outcome.counters.malformed, outcome.counters.parsed) == (6, 1)
