"""Which end began, what belongs together, and what is a flow of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.addresses import address_halves
from sensors.netflow import pairs as module
from sensors.netflow.pairs import Pairs
from sensors.netflow.records import RECORD
from sensors.values import FlowEvent

S = 10**9
A, B = "198.51.100.7", "192.0.2.9"
TCP, UDP, ICMP = 6, 17, 1
SYN, SYN_ACK, RST_ACK, ALL = 2, 18, 20, 27


def record(src, sport, dst, dport, first=0, last=1, proto=TCP, flags=ALL, packets=3, goes_on=False):
    key = (*address_halves(src), *address_halves(dst), sport, dport, proto)
    return np.array([(1, first * S, last * S, *key, flags, 0, packets, 0, packets * 100, 0, False, goes_on)], RECORD)


def told(*records, apart=0):
    pairs = Pairs()
    rows = []
    for index, each in enumerate(records):
        rows += [pairs.expire(index * apart * S), pairs.add(each, index * apart * S)]
    return np.concatenate((*rows, pairs.finish()))


def ends(rows):
    left, right = address_halves(A)[1], address_halves(B)[1]
    names = {left: "A", right: "B"}
    return [
        (names[int(row["orig_lo"])], int(row["orig_port"]), names[int(row["resp_lo"])], int(row["resp_port"]),
         int(row["orig_packets"]), int(row["resp_packets"]))
        for row in rows
    ]  # fmt: skip


def test_both_directions_become_one_flow_whoever_comes_first():
    there, back = record(A, 40_000, B, 443, 0, 5), record(B, 443, A, 40_000, 1, 5, packets=2)
    for order in ((there, back), (back, there)):
        assert ends(told(*order)) == [("A", 40_000, "B", 443, 3, 2)]


def test_who_sent_first_began_even_at_a_known_port():
    there, back = record(B, 53, A, 53, 0, 1, UDP), record(A, 53, B, 53, 0.5, 1, UDP)
    assert ends(told(back, there)) == [("B", 53, "A", 53, 3, 3)]


@pytest.mark.parametrize(
    ("lone", "turned"),
    [
        (record(A, 40_000, B, 22, flags=SYN), False),
        (record(A, 22, B, 40_000, flags=SYN), False),
        (record(B, 22, A, 40_000, flags=RST_ACK, packets=1), True),
        (record(B, 40_001, A, 40_000, flags=RST_ACK, packets=1), True),
        (record(B, 443, A, 40_000), True),
        (record(B, 53, A, 40_000, proto=UDP), True),
        (record(A, 40_000, B, 40_001, proto=UDP), False),
        (record(A, 8, B, 0, proto=ICMP), False),
        (record(B, 0, A, 0, proto=ICMP), True),
    ],
)
def test_a_record_that_nobody_answers(lone, turned):
    row = told(lone)[0]
    assert ends([row])[0][0] == "A"
    assert (int(row["orig_packets"]) == 0) is turned


def test_an_echo_and_its_reply_are_one_flow():
    echo, reply = record(A, 8, B, 0, proto=ICMP, flags=0), record(B, 0, A, 0, proto=ICMP, flags=0)
    for order in ((echo, reply), (reply, echo)):
        rows = told(*order)
        assert ends(rows) == [("A", 8, "B", 0, 3, 3)] and not rows["orig_flags"].any()


def test_an_unanswered_opening_is_s0():
    assert told(record(A, 40_000, B, 22, flags=SYN))[0]["state"] == 1


def test_later_pieces_of_a_long_flow_are_no_new_flows():
    pieces = [record(A, 40_000, B, 443, 60 * n, 60 * n + 59, flags=24, goes_on=n < 3) for n in range(4)]
    rows = told(*pieces, apart=60)
    assert [FlowEvent(int(row["event"])) for row in rows] == [FlowEvent.START, *[FlowEvent.UPDATE] * 3]
    assert (rows["orig_packets"].tolist(), rows["new_orig_packets"].tolist()) == ([3, 6, 9, 12], [3] * 4)


def test_a_port_used_again_is_a_new_flow():
    rows = told(record(A, 40_000, B, 443, 0, 1), record(A, 40_000, B, 443, 30, 31), apart=30)
    assert [int(row["event"]) for row in rows] == [3, 3]


def test_pieces_that_come_together_are_added_up():
    rows = told(record(A, 9, B, 53, 0, 1, UDP), record(A, 9, B, 53, 1, 2, UDP), record(B, 53, A, 9, 0, 2, UDP))
    assert ends(rows) == [("A", 9, "B", 53, 6, 3)]


def test_patience_ends():
    pairs = Pairs()
    assert len(pairs.add(record(A, 1, B, 2000), 0)) == 0
    assert len(pairs.expire(module.PATIENCE_NS - 1)) == 0
    assert len(pairs.expire(module.PATIENCE_NS)) == 1
    assert len(pairs.finish()) == 0


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 16)
    pairs = Pairs()
    rows = sum(len(pairs.add(record(A, port, B, 22), 0)) for port in range(1024, 1124))
    assert (rows, len(pairs.finish())) == (84, 16)


@given(st.lists(st.tuples(st.booleans(), st.integers(40_000, 40_003), st.integers(0, 40), st.integers(1, 9))))
def test_no_packet_is_lost_or_counted_twice(sent):
    records = [
        record(*((A, port, B, 443) if there else (B, 443, A, port)), at, at + 1, packets=packets)
        for there, port, at, packets in sent
    ]
    rows = told(*records, apart=2)
    assert int((rows["new_orig_packets"] + rows["new_resp_packets"]).sum()) == sum(packets for *_, packets in sent)
