"""The slow path has a bound that is counted; payloads of ICMP are measured where flows are."""

from sensors.packets.chosen import MAX_A_SECOND

A, B = "10.0.0.1", "192.0.2.9"


def test_what_is_beyond_the_bound_is_counted_and_the_next_second_begins_anew(build, read):
    banner = build.tcp(A, 5000, B, 22, "PA", b"SSH-2.0-x\r\n")
    frames = [(at / 10**6, banner) for at in range(MAX_A_SECOND + 300)]
    frames += [(1 + at / 10**6, banner) for at in range(10)]
    outcome = read(build.pcap(frames))
    assert len(outcome.commands) == MAX_A_SECOND + 10
    assert outcome.counters.dropped == 300
    assert outcome.counters.parsed == len(frames)


def test_payloads_of_icmp_are_counted_and_measured(build, read):
    random, even = bytes((at * 167 + 13) % 256 for at in range(256)), bytes(256)
    frames = [(at, build.icmp(A, B, 8, payload=random)) for at in range(5)]
    frames += [(at + 0.1, build.icmp(B, A, 0, payload=even)) for at in range(4)]
    (row,) = read(build.pcap(sorted(frames))).ends
    assert (row["orig_packets"], row["resp_packets"]) == (5, 4)
    assert (row["orig_bytes"] / 5, row["resp_bytes"] / 4) == (256, 256)
    assert row["orig_entropy"] == 8 and row["resp_entropy"] == 0
