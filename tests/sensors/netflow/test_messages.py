"""NetFlow 5, 9 and IPFIX: formats, odd templates, lies and losses."""

import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.netflow.messages import Decoder
from sensors.netflow.templates import MAX_EXPORTERS, MAX_FIELDS, MAX_TEMPLATES, Templates
from sensors.values import Counters

NOW = 1_700_000_000 * 10**9
A, B = "198.51.100.7", "192.0.2.9"
V4 = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 4))
FLOW = bytes([198, 51, 100, 7, 192, 0, 2, 9]) + struct.pack("!HHBBII", 40_000, 443, 6, 27, 7, 700)


def test_version_5(message, decode, flows):
    records, counters = decode(message.v5(message.flow5(A, 40_000, B, 443), message.flow5(A, 40_001, B, 443)))
    assert (counters.parsed, len(records)) == (1, 2)
    row = flows(records)[0]
    assert (row["orig"], row["resp"], row["resp_port"], row["packets"], row["bytes"]) == (A, B, 443, (5, 0), (500, 0))
    # it was sent 58 s after the flow's end by the exporter's clock, and came now by ours
    assert row["span"] == (NOW - 59 * 10**9, NOW - 58 * 10**9)


def test_version_9_learns_templates_and_passes_options_over(message, decode):
    options = message.part(1, struct.pack("!HHHHHHH", 300, 4, 4, 1, 4, 34, 4))
    template = message.part(0, message.template(256, *V4))
    records, counters = decode(
        message.v9(options, template), message.v9(message.part(256, FLOW * 3), message.part(300, bytes(8)), sequence=1)
    )
    assert (len(records), counters.parsed, counters.dropped) == (3, 2, 0)
    assert set(records["packets"].tolist()) == {7} and set(records["dst_port"].tolist()) == {443}


def test_ipfix_with_fields_of_any_length_and_other_peoples_numbers(message, decode):
    fields = [(82, 0xFFFF), *V4[:6], (1, 3), (2, 8), (99, 4, 12345), (152, 8), (153, 8)]
    body = (
        b"\x04eth0"
        + FLOW[:14]
        + b"\x01\x00\x00"
        + struct.pack("!QIQQ", 9, 0, 1_600_000_000_000 - 2500, 1_600_000_000_000)
    )
    long_name = b"\xff\x01\x00" + bytes(256) + body[5:]
    records, counters = decode(
        message.ipfix(message.part(2, message.template(400, *fields)), message.part(400, body + long_name))
    )
    assert counters.parsed == 1
    assert records["bytes"].tolist() == [65536, 65536] and records["packets"].tolist() == [9, 9]
    assert (records["last"] - records["first"]).tolist() == [2_500_000_000] * 2


def test_ipfix_that_tells_both_directions(message, decode, flows):
    fields = [*V4, (1, 4, 29305), (2, 4, 29305), (6, 1, 29305)]
    template = message.part(2, message.template(256, *fields))
    turned = FLOW[4:8] + FLOW[:4] + struct.pack("!HH", 443, 40_001) + FLOW[12:]
    records, _ = decode(
        message.ipfix(template, message.part(256, FLOW + b"\0\0\3\xe8\0\0\0\5\x1b" + turned + bytes(7) + b"\1\x1b"))
    )
    first, second = flows(records)
    assert (first["orig"], first["packets"], first["bytes"], first["state"]) == (A, (7, 5), (700, 1000), "SF")
    assert (second["orig"], second["resp_port"]) == (A, 443)


def test_a_template_is_its_exporters_and_domains(message, decode):
    template = message.part(2, message.template(256, *V4))
    _, counters = decode(message.ipfix(template), message.ipfix(message.part(256, FLOW), domain=2))
    assert [fault.code for fault in counters.faults] == ["netflow.message"]


def test_a_withdrawn_template_is_gone(message, decode):
    template = message.part(2, message.template(256, *V4))
    gone = message.part(2, struct.pack("!HH", 256, 0))
    records, counters = decode(message.ipfix(template), message.ipfix(gone), message.ipfix(message.part(256, FLOW)))
    assert (len(records), counters.malformed) == (0, 1)


def test_what_is_well_formed_in_a_datagram_is_kept(message, decode):
    template = message.part(2, message.template(256, *V4))
    records, counters = decode(
        message.ipfix(template, message.part(999, bytes(8)), message.part(256, FLOW)),
        message.ipfix(message.part(256, FLOW), b"\x01\x00\xff\xff"),
        message.v5(message.flow5(A, 1, B, 2), count=3),
    )
    assert (len(records), counters.malformed) == (3, 3)


def test_lost_numbers_are_counted_and_a_restart_is_not(message, decode):
    one = message.flow5(A, 1, B, 2)
    numbers = (0, 1, 5, 6, 0, 4_000_000_000, 4_000_000_001)  # three lost; begun anew; a leap that nobody believes
    _, counters = decode(*(message.v5(one, sequence=number) for number in numbers))
    assert counters.dropped == 3
    _, counters = decode(*(message.v5(one, sequence=number) for number in (0xFFFFFFFF, 0, 1, 0, 2)))
    assert counters.dropped == 0


def test_numbers_of_ipfix_before_or_after_the_message(message, decode):
    template = message.part(2, message.template(256, *V4))
    parts = [message.part(256, FLOW * count) for count in (2, 3, 3)]
    for numbers, lost in (((0, 2, 5), 0), ((2, 5, 8), 0), ((0, 12, 15), 9)):
        sent = [message.ipfix(template, part, sequence=number) for part, number in zip(parts, numbers, strict=True)]
        assert decode(*sent)[1].dropped == lost


def test_other_versions_are_ignored_and_stumps_malformed(message, decode):
    _, counters = decode(b"\0\7" + bytes(60), b"\0\x05\0", b"", b"\0\x09")
    assert (counters.ignored, counters.malformed) == (2, 2)


def test_a_lying_template(message, decode):
    many = message.part(2, struct.pack("!HH", 256, MAX_FIELDS + 1) + bytes(4 * MAX_FIELDS + 4))
    short = message.part(2, struct.pack("!HHHH", 256, 2, 8, 4))
    empty = message.part(2, message.template(256, (8, 0)))
    _, counters = decode(message.ipfix(many), message.ipfix(short), message.ipfix(empty, message.part(256, bytes(40))))
    assert counters.malformed == 2


def test_a_clock_that_is_wrong_shifts_nothing_and_no_flow_is_older_than_a_day(message, decode):
    fields = [*V4, (150, 4), (151, 4)]
    template = message.part(2, message.template(256, *fields))
    body = FLOW + struct.pack("!II", 5, 10) + FLOW + struct.pack("!II", 900_000, 4_000_000_000)
    records, _ = decode(message.ipfix(template, message.part(256, body), exported=12))
    assert (NOW - records["last"]).tolist() == [2 * 10**9, 0]
    assert (NOW - records["first"]).tolist() == [7 * 10**9, 0]
    records, _ = decode(message.ipfix(template, message.part(256, body), exported=1_000_000))
    assert (NOW - records["first"]).tolist() == [86_400 * 10**9] * 2


def test_numbers_that_fit_nowhere_are_capped(message, decode, flows):
    template = message.part(2, message.template(256, *V4[:6], (2, 8), (1, 8)))
    records, _ = decode(message.ipfix(template, message.part(256, (FLOW[:14] + b"\xff" * 16) * 2)))
    assert len(flows(records)) == 1


def test_icmp_gives_type_and_code(message, decode):
    records, _ = decode(message.v5(message.flow5(A, 0, B, 0x0301, proto=1)))
    assert (records["src_port"].tolist(), records["dst_port"].tolist()) == ([3], [1])


def test_ipv6_where_both_are_given(message, decode, flows):
    fields = [(8, 4), (12, 4), (27, 16), (28, 16), *V4[2:]]
    six = bytes.fromhex("20010db8" + "0" * 22 + "01") + bytes.fromhex("20010db8" + "0" * 22 + "02")
    body = bytes(8) + six + FLOW[8:] + FLOW[:8] + bytes(32) + FLOW[8:]
    records, _ = decode(message.v9(message.part(0, message.template(256, *fields)), message.part(256, body)))
    assert {row["orig"] for row in flows(records)} == {"2001:db8::1", A}


SEEN = (60, 732, 187_241)


@pytest.mark.parametrize("name", ["softflowd-5", "softflowd-9", "softflowd-ipfix", "softflowd-biflow"])
def test_what_softflowd_sends(name, recorded, decode, flows):
    records, counters = decode(*recorded(name))
    rows = flows(records)
    assert (counters.malformed, counters.ignored, counters.dropped) == (0, 0, 0)
    assert Counter((row["orig"], row["resp"], row["resp_port"], row["state"]) for row in rows) == {
        ("198.51.100.104", "10.20.10.10", 80, "SF"): len(rows)
    }
    # as tshark counts them in the capture
    assert (len(rows), sum(sum(row["packets"]) for row in rows), sum(sum(row["bytes"]) for row in rows)) == SEEN


def test_memory_stays_bounded():
    templates = Templates()
    for exporter in range(MAX_EXPORTERS * 2):
        for number in range(256, 256 + MAX_TEMPLATES * 2):
            templates.learn(exporter, number, [(0, 8, 4)], options=False)
    known = templates._known
    assert len(known) == MAX_EXPORTERS and {len(mine) for mine in known.values()} == {MAX_TEMPLATES}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_datagrams_never_raise(data, recorded):
    pool = [each for name in ("softflowd-5", "softflowd-9", "softflowd-biflow") for each in recorded(name)[:2]]
    counters = Counters()
    decoder = Decoder(counters)
    for _ in range(4):
        datagram = bytearray(data.draw(st.sampled_from(pool)))
        for _ in range(data.draw(st.integers(0, 8))):
            datagram[data.draw(st.integers(0, len(datagram) - 1))] = data.draw(st.integers(0, 255))
        decoder.feed("192.0.2.1", bytes(datagram[: data.draw(st.integers(0, len(datagram)))]), NOW)
    records = decoder.take()
    assert counters.read == counters.parsed + counters.malformed + counters.ignored == 4
    assert (records["first"] <= records["last"]).all() and (records["last"] <= NOW).all()
    assert (np.diff(records["number"].astype(np.int64)) >= 0).all()
