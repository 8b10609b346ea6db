"""DNS questions and HTTP requests."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.packets import http

A, B = "10.0.0.1", "10.0.0.2"


def name(*labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(encoded, qtype=1, flags=0x0100, count=1):
    return struct.pack("!HHHHHH", 1, flags, count, 0, 0, 0) + encoded + struct.pack("!HH", qtype, 1)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (name(b"WWW", b"Example", b"com"), "www.example.com"),
        (name(), "."),
        (name(b"a.b", b"\\c", b"\x00 \xff"), "a\\x2eb.\\x5cc.\\x00\\x20\\xff"),
        (name(*[b"x" * 63] * 3, b"y" * 61), ".".join(["x" * 63] * 3 + ["y" * 61])),
    ],
)
def test_names(build, read, encoded, text):
    message = question(encoded, 28)
    outcome = read(build.pcap([(0, build.udp(A, 5353, B, 53, message))]))
    row = outcome.dns[0]
    assert (row["orig"], row["resp"], row["query"], row["qtype"]) == (A, B, text, 28)
    assert (row["rcode"], row["answers"], row["bytes"], row["seq"]) == (255, 0, len(message), 1)


def test_over_tcp_where_a_segment_is_one_message(build, read):
    message = question(name(b"tcp", b"test"))
    frames = [
        (0, build.tcp(A, 5, B, 53, "PA", struct.pack("!H", len(message)) + message)),
        (1, build.tcp(A, 5, B, 53, "PA", message)),
    ]
    outcome = read(build.pcap(frames))
    assert [(row["query"], row["bytes"]) for row in outcome.dns] == [("tcp.test", len(message))]
    assert outcome.counters.malformed == 0


@pytest.mark.parametrize(
    "message",
    [
        b"\0\1\1",
        question(b"\xc0\x0c"),
        question(b"\x40" + b"a" * 64 + b"\0"),
        question(name(*[b"x" * 63] * 4)),
        question(name(b"ab"))[:-3],
        question(b"\x09abc"),
    ],
)
def test_questions_that_are_not_well_formed_are_counted_and_their_flow_kept(build, read, message):
    outcome = read(build.pcap([(0, build.udp(A, 5, B, 53, message))]))
    assert [fault.code for fault in outcome.counters.faults] == ["packet.dns"]
    assert (len(outcome.dns), len(outcome.ends)) == (0, 1)


@pytest.mark.parametrize("message", [question(name(b"a"), flags=0x8180), question(b"", count=0)])
def test_answers_and_empty_questions_give_no_row(build, read, message):
    outcome = read(build.pcap([(0, build.udp(A, 5, B, 53, message))]))
    assert (outcome.dns, outcome.counters.malformed) == ([], 0)


def test_a_question_that_the_capture_cut_is_no_fault(build, read):
    outcome = read(build.pcap([(0, build.udp(A, 5, B, 53, question(name(b"abc", b"def"))))], snap=60))
    assert (outcome.dns, outcome.counters.malformed) == ([], 0)


def test_many_questions_keep_their_names(build, read):
    frames = [(i / 1e4, build.udp(A, 5, B, 53, question(name(b"n%d" % i)))) for i in range(3000)]
    assert [row["query"] for row in read(build.pcap(frames)).dns] == [f"n{i}" for i in range(3000)]


HEADERS = b"host: h.example\r\nUser-Agent: curl/8\r\nReferer: http://r/\r\nUser-Agent: two\r\n\r\nbody"
REQUEST = b"GET /a?b=%27c HTTP/1.1\r\n" + HEADERS


def test_a_request(build, read):
    outcome = read(build.pcap([(0, build.tcp(A, 5, B, 9999, "PA", REQUEST))]))
    row = outcome.http[0]
    assert (row["orig"], row["resp"], row["method"], row["path"]) == (A, B, "GET", "/a?b=%27c")
    assert (row["host"], row["agent"], row["referrer"], row["status"]) == ("h.example", "curl/8", "http://r/", 0)


@pytest.mark.parametrize(
    ("payload", "rows"),
    [
        (b"PROPFIND / HTTP/1.0\n", 1),
        (b"CONNECT a:443 HTTP/1.1\r\n", 1),
        (b"GET /" + b"x" * 900, 1),
        (b"MAIL FROM:<a@b>\r\n", 0),
        (b"HTTP/1.1 200 OK\r\n", 0),
        (b"get / HTTP/1.1\r\n", 0),
        (b"GET / HTTP/2.0\r\n", 0),
        (b"GET ", 0),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n", 0),
    ],
)
def test_what_is_a_request(build, read, payload, rows):
    assert len(read(build.pcap([(0, build.tcp(A, 5, B, 80, "PA", payload))])).http) == rows


def test_bytes_that_are_not_printable_are_escaped():
    request = http.parse(b"GET /\xe9\x01\x7f HTTP/1.1\r\nHost: a\x00b\r\n")
    assert (request.path, request.host) == ("/\\xe9\\x01\\x7f", "a\\x00b")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_parsing_a_head_never_raises(head):
    request = http.parse(b"GET " + head)
    assert request.path.isprintable()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.sampled_from([6, 17]))
def test_any_payload_to_port_53_is_counted_once(build, read, payload, proto):
    make = build.udp if proto == 17 else build.tcp
    outcome = read(build.pcap([(0, make(A, 5, B, 53, payload=payload))]))
    assert outcome.counters.read == 1
