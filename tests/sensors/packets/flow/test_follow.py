"""The flow table: states, ends, time-outs, bounds, and rows that depend on the packets alone."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.values import Service

A, B = "10.0.0.1", "10.0.0.2"


def play(build, script):
    """Return a capture of a TCP connection; ">S" goes from A to B, "<SA" back; "+" adds ten bytes of payload."""
    frames = []
    for i, step in enumerate(script.split()):
        flags, payload = step[1:].rstrip("+"), b"x" * 10 if step.endswith("+") else b""
        ends = (A, 40000, B, 80) if step[0] == ">" else (B, 80, A, 40000)
        frames.append((i * 0.01, build.tcp(*ends, flags, payload)))
    return build.pcap(frames)


@pytest.mark.parametrize(
    ("script", "state"),
    [
        (">S", "S0"),
        (">S >S >S", "S0"),
        (">S <RA", "REJ"),
        (">S <SA", "S1"),
        (">S <SA >A >PA+ <A", "S1"),
        (">S <SA >R", "RSTO"),
        (">S <SA >A >PA+ <A <RA", "RSTR"),
        (">S >R", "RSTOS0"),
        (">S <SA >A >FA <A <FA >A", "SF"),
        (">S <SA >A <FA >A >FA <A", "SF"),
        (">S <SA >A >FA <A", "S2"),
        (">S <SA >A <FA >A", "S3"),
        (">S >FA", "SH"),
        (">F", "SH"),
        (">A+ <A+", "OTH"),
        (">A <R", "RSTRH"),
        (">A <A <FA", "SHR"),
    ],
)
def test_conn_state(build, read, script, state):
    ends = read(play(build, script)).ends
    assert len(ends) == 1
    assert read(play(build, script)).told[-1] == ("END", state, A, 40000, 80)


def test_a_refused_connection_ends_at_once(build, read):
    outcome = read(play(build, ">S <RA"))
    assert outcome.flows["ts"].tolist() == [build.base, build.base + 10_000_000]
    assert outcome.flows["seq"].tolist() == [1, 2]


def test_a_syn_ack_that_comes_first_makes_its_receiver_the_originator(build, read):
    outcome = read(play(build, "<SA"))
    assert outcome.told[0] == ("START", "OTH", A, 40000, 80)
    assert outcome.flows["resp_packets"].tolist() == [1, 1]


def test_totals_news_and_bytes(build, read):
    end = read(play(build, ">S <SA >A >PA+ <A <PA+ >FA <FA >A")).ends[0]
    assert (end["orig_packets"], end["resp_packets"]) == (5, 4)
    assert (end["orig_bytes"], end["resp_bytes"]) == (10, 10)
    assert (end["orig_ip_bytes"], end["resp_ip_bytes"]) == (5 * 40 + 10, 4 * 40 + 10)
    assert (end["new_orig_packets"], end["new_resp_packets"]) == (4, 4)
    assert end["last"] - end["first"] == 80_000_000
    assert (end["orig_flags"], end["resp_flags"]) == (2 | 16 | 8 | 1, 2 | 16 | 8 | 1)


def test_stragglers_belong_to_the_flow_that_ended_and_a_new_syn_begins_another(build, read):
    outcome = read(play(build, ">S <SA >A >FA <FA >A <A >A >S <RA"))
    assert [(event, state) for event, state, *_ in outcome.told] == [
        ("START", "OTH"), ("END", "SF"), ("START", "OTH"), ("END", "REJ")
    ]  # fmt: skip


def test_payload_after_a_reset_is_not_hidden(build, read):
    outcome = read(play(build, ">S <SA >A <RA >PA+"))
    assert [event for event, *_ in outcome.told] == ["START", "END", "START", "END"]


def test_a_flood_is_told_while_it_runs(build, read):
    frames = [(i / 1000, build.udp(A, 1, B, 2, b"12345")) for i in range(2500)]
    flows = read(build.pcap(frames)).flows
    assert flows["event"].tolist() == [1, 4, 4, 2]
    assert flows["new_orig_packets"].tolist() == [1, 999, 1000, 500]
    assert flows["new_orig_bytes"].sum() == 2500 * 5


def test_a_flood_of_resets_is_seen(build, read):
    frames = [(i / 1000, build.tcp(A, 1, B, 2, "R")) for i in range(90)]
    assert len(read(build.pcap(frames)).ends) == 10


def test_echo_request_and_reply_are_one_flow_of_the_asker(build, read):
    for first, second in (((A, B, 8), (B, A, 0)), ((B, A, 0), (A, B, 8))):
        outcome = read(build.pcap([(0, build.icmp(*first)), (0.1, build.icmp(*second))]))
        assert outcome.told[-1] == ("END", "OTH", A, 8, 0)
        assert len(outcome.ends) == 1
    assert len(read(build.pcap([(0, build.icmp(A, B, 8)), (0.1, build.icmp(B, A, 8))])).ends) == 2


def test_udp_states_and_services(build, read):
    frames = [(0, build.udp(A, 5000, B, 123)), (0.1, build.udp(B, 123, A, 5000)), (0.2, build.udp(A, 5001, B, 161))]
    ends = read(build.pcap(frames)).ends
    assert ends["state"].tolist() == [3, 1]
    assert ends["service"].tolist() == [Service.NTP, Service.SNMP]


def test_idle_timeout_falls_on_the_grid_of_seconds(build, read):
    frames = [(0.5, build.udp(A, 1, B, 2)), (70.25, build.udp(A, 3, B, 4)), (70.5, build.udp(A, 1, B, 2))]
    outcome = read(build.pcap(frames))
    assert [event for event, *_ in outcome.told] == ["START", "END", "START", "START", "END", "END"]
    assert outcome.flows["ts"][1] == build.base + 61 * 1_000_000_000


def test_active_timeout_begins_the_flow_anew_with_the_same_originator(build, read):
    steps = [(0, build.tcp(A, 40000, B, 80, "S")), (0.1, build.tcp(B, 80, A, 40000, "SA"))]
    steps += [(i, build.tcp(B, 80, A, 40000, "A", b"x")) for i in range(1, 30)]
    outcome = read(build.pcap(steps), active_timeout_s=10)
    life = [("START", "OTH", A), ("END", "S1", A)]
    assert [told[:3] for told in outcome.told] == life * 3
    assert outcome.flows["new_resp_packets"].sum() == 30


def test_a_full_table_evicts_the_least_recent_and_counts_it(build, read):
    frames = [(i * 2, build.udp(A, i, B, 9)) for i in range(10)]
    outcome = read(build.pcap(frames), max_flows=4, idle_timeout_s=1000)
    assert outcome.counters.dropped == 6
    assert outcome.ends["orig_port"].tolist() == list(range(10))


def test_flows_that_are_over_are_evicted_first_and_not_counted(build, read):
    frames = [(0, build.udp(A, 1, B, 9))]
    for i in range(20):
        frames += [(i / 100, build.tcp(A, 100 + i, B, 80)), (i / 100, build.tcp(B, 80, A, 100 + i, "RA"))]
    outcome = read(build.pcap(frames), max_flows=4)
    assert outcome.counters.dropped == 0
    assert len(outcome.ends) == 21


def test_an_older_packet_is_late_and_keeps_its_own_time(build, read):
    frames = [(5, build.udp(A, 1, B, 2)), (4, build.udp(A, 3, B, 4))]
    outcome = read(build.pcap(frames))
    assert outcome.counters.late == 1
    assert outcome.flows["ts"][1] == build.base + 5_000_000_000
    assert outcome.flows["first"][1] == build.base + 4_000_000_000


def test_one_broken_time_does_not_carry_the_clock_away(build, read):
    frames = [(i, build.udp(A, 1, B, 2)) for i in range(10)]
    frames[5] = (10 * 365 * 86400, frames[5][1])
    outcome = read(build.pcap(frames))
    assert outcome.counters.late == 1
    assert outcome.flows["last"].max() == build.base + 9_000_000_000
    jump = [(0, build.udp(A, 1, B, 2)), (86400 * 9, build.udp(A, 1, B, 2)), (86400 * 9 + 1, build.udp(A, 1, B, 2))]
    assert read(build.pcap(jump)).flows["last"].max() == build.base + (86400 * 9 + 1) * 1_000_000_000


steps = st.tuples(
    st.sampled_from([0.0, 0.001, 0.3, 1.0, 7.0, 70.0, -2.0]),
    st.integers(0, 3),
    st.sampled_from(["S", "SA", "A", "PA", "FA", "R", "RA", ""]),
    st.booleans(),
    st.sampled_from([b"", b"GET /x HTTP/1.1\r\n\r\n"]),
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=1, max_size=60), st.integers(1, 9), st.sampled_from([2, 5, 1000]))
def test_rows_do_not_depend_on_how_the_input_is_cut_nor_on_the_seed(build, read, script, chunk, room):
    clock, frames = 1000.0, []
    for wait, port, flags, back, payload in script:
        clock += wait
        ends = (B, 80, A, 1000 + port) if back else (A, 1000 + port, B, 80)
        frames.append((clock, build.tcp(*ends, flags, payload) if port else build.udp(*ends, payload)))
    capture = build.pcap(frames)
    limits = {"max_flows": room, "idle_timeout_s": 5, "active_timeout_s": 20}
    whole, cut = read(capture, **limits), read(capture, chunk=chunk, **limits)
    assert np.array_equal(whole.flows, cut.flows)
    assert (whole.http, whole.counters) == (cut.http, cut.counters)
    starts, ends = (int((whole.flows["event"] == event).sum()) for event in (1, 2))
    assert starts == ends
