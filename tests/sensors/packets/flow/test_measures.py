"""What a flow row measures: history, what was sent again, round-trip time, gaps, entropy."""

import math
import struct

import numpy as np
import pytest

from sensors.packets.flow.history import text

A, B = "10.0.0.1", "10.0.0.2"
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def segment(build, flags, seq, payload=b"", *, back=False, window=1024):
    bits = sum(FLAGS[flag] for flag in flags)
    ports = (80, 40000) if back else (40000, 80)
    body = struct.pack("!HHIIBBHHH", *ports, seq % 2**32, 1, 5 << 4, bits, window, 0, 0) + payload
    return bytes(12) + b"\x08\0" + build.ip(6, body, *((B, A) if back else (A, B)))


def end_of(build, read, *segments):
    ends = read(build.pcap([(i / 10, frame) for i, frame in enumerate(segments)])).ends
    assert len(ends) == 1
    return ends[0]


def history(row):
    return text(int(row["history"]), int(row["history_more"]))


def handshake(build):
    return [
        segment(build, "S", 99),
        segment(build, "SA", 499, back=True),
        segment(build, "A", 100),
    ]


def test_a_whole_connection(build, read):
    row = end_of(
        build, read, *handshake(build),
        segment(build, "PA", 100, b"x" * 10),
        segment(build, "A", 500, back=True),
        segment(build, "PA", 500, b"y" * 20, back=True),
        segment(build, "FA", 110),
        segment(build, "FA", 520, back=True),
        segment(build, "A", 111),
    )  # fmt: skip
    assert history(row) == "ShADadFf"
    assert (row["orig_resent"], row["resp_resent"], row["orig_overlap"], row["resp_overlap"]) == (0, 0, 0, 0)
    assert row["rtt"] == 200_000_000
    assert row["gap_mean"] == pytest.approx(0.1)
    assert row["gap_deviation"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([("S", False), ("RA", True)], "Sr"),
        ([("SA", True)], "^h"),
        ([("SF", False)], "SQF"),
        ([("FR", False)], "FIR"),
        ([("A", False), ("A", True), ("R", True)], "Aar"),
    ],
)
def test_history(build, read, segments, expected):
    frames = [segment(build, flags, 1, back=back) for flags, back in segments]
    assert history(end_of(build, read, *frames)) == expected


def test_history_of_udp_and_icmp(build, read):
    frames = [build.udp(A, 1, B, 2, b"x"), build.udp(B, 2, A, 1, b"x"), build.icmp(A, B, 8)]
    ends = read(build.pcap(enumerate(frames))).ends
    assert [history(row) for row in ends] == ["Dd", ""]


def test_a_window_of_nothing(build, read):
    assert history(end_of(build, read, *handshake(build), segment(build, "A", 500, back=True, window=0))) == "ShAaw"


def test_repeated_letters_stand_at_powers_of_ten(build, read):
    data = segment(build, "PA", 100, b"x" * 10)
    row = end_of(build, read, *handshake(build), *[data] * 12)
    assert (row["orig_resent"], row["orig_overlap"]) == (11, 110)
    assert history(row) == "ShADTT"


@pytest.mark.parametrize("start", [100, 2**32 - 15])
def test_what_was_sent_again_is_counted_and_what_fills_a_hole_is_not(build, read, start):
    def send(offset, size):
        return segment(build, "PA", start + offset, b"x" * size)

    def counted(*pieces):
        row = end_of(build, read, *(send(*piece) for piece in pieces))
        return int(row["orig_resent"]), int(row["orig_overlap"])

    assert counted((0, 10), (10, 10), (20, 10)) == (0, 0)
    assert counted((0, 10), (20, 10), (10, 10)) == (0, 0)  # out of order
    assert counted((0, 10), (30, 10), (10, 10), (20, 10)) == (0, 0)
    assert counted((0, 10), (30, 10), (20, 10), (10, 10)) == (0, 0)
    assert counted((0, 10), (30, 10), (10, 10), (10, 10)) == (1, 10)
    assert counted((0, 10), (0, 10)) == (1, 10)
    assert counted((0, 10), (0, 20)) == (1, 10)  # goes on behind what was there
    assert counted((0, 10), (5, 10)) == (1, 5)
    assert counted((0, 10), (10, 10), (5, 10)) == (1, 10)


def test_a_syn_and_a_fin_sent_again(build, read):
    row = end_of(build, read, *handshake(build)[:1] * 3)
    assert (row["orig_resent"], row["orig_overlap"], history(row)) == (2, 0, "ST")
    row = end_of(build, read, *handshake(build), *[segment(build, "FA", 100)] * 2)
    assert (row["orig_resent"], history(row)) == (1, "ShAFT")


def test_no_round_trip_time_where_a_syn_was_sent_again_or_the_handshake_was_not_seen(build, read):
    syn, *rest = handshake(build)
    assert end_of(build, read, syn, syn, *rest)["rtt"] == 0
    assert end_of(build, read, *rest)["rtt"] == 0
    assert end_of(build, read, syn, rest[1])["rtt"] == 0


def test_times_between_packets(build, read):
    times = [0, 1, 1.5, 4, 4.25]
    row = read(build.pcap([(at, build.udp(A, 1, B, 2)) for at in times])).ends[0]
    gaps = np.diff(times)
    assert row["gap_mean"] == pytest.approx(gaps.mean())
    assert row["gap_deviation"] == pytest.approx(gaps.std(), rel=1e-4)
    alone = read(build.pcap([(0, build.udp(A, 1, B, 2))])).ends[0]
    assert (alone["gap_mean"], alone["gap_deviation"]) == (0, 0)


def test_entropy_of_the_first_payload_of_each_side(build, read):
    frames = [
        build.udp(A, 1, B, 2),
        build.udp(A, 1, B, 2, b"abcd" * 8),
        build.udp(A, 1, B, 2, bytes(range(256))),
        build.udp(B, 2, A, 1, bytes(range(256)) + b"more"),
    ]
    row = read(build.pcap(enumerate(frames))).ends[0]
    assert (row["orig_entropy"], row["resp_entropy"]) == (2, 8)
    one = read(build.pcap([(0, build.udp(A, 1, B, 2, b"aab"))])).ends[0]["orig_entropy"]
    assert one == pytest.approx(-(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3)))
    cut = read(build.pcap([(0, build.udp(A, 1, B, 2, bytes(range(256))))], snap=14 + 28 + 16)).ends[0]
    assert cut["orig_entropy"] == 4


def test_what_is_measured_begins_anew_with_the_flow(build, read):
    steps = [segment(build, "PA", 100, b"x" * 10)] * 30
    rows = read(build.pcap(list(enumerate(steps))), active_timeout_s=10).ends
    assert rows["orig_packets"].tolist() == [11, 11, 8]
    assert rows["orig_resent"].tolist() == [10, 11, 8]
    assert [history(row) for row in rows] == ["DTT", "DTT", "DT"]
    assert rows["gap_mean"].tolist() == [1, 1, 1]


def test_a_capture_that_holds_each_packet_twice(build, read):
    data = [*handshake(build), segment(build, "PA", 100, b"x" * 10)]
    row = end_of(build, read, *[frame for frame in data for _ in range(2)])
    assert (row["orig_packets"], row["resp_packets"]) == (6, 2)
    assert (row["orig_resent"], row["resp_resent"], row["orig_overlap"]) == (2, 1, 10)
