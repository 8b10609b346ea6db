"""HTTP answers, files, commands and services told by content, through the whole sensor."""

import struct

import pytest

from sensors.packets.messages import PATIENCE_S
from sensors.values import ConnState, Service

A, B = "10.0.0.1", "192.0.2.9"
GET = b"GET /a.png HTTP/1.1\r\nHost: 192.0.2.9\r\n\r\n"
PE = b"MZ" + bytes(58) + struct.pack("<I", 128) + bytes(64) + b"PE\0\0" + bytes(40)


def answer(body=b"", mime=b"text/html", status=b"200 OK", more=b""):
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, mime, len(body), more, body)


def exchange(build, *parts, port=80):
    """Return frames: each part is (from the client?, payload), a tenth of a second apart."""
    sides = {True: (A, 5000, B, port), False: (B, port, A, 5000)}
    return [(i / 10, build.tcp(*sides[mine], "PA", payload)) for i, (mine, payload) in enumerate(parts)]


def test_an_answer_gives_its_status_to_its_request(build, read):
    outcome = read(build.pcap(exchange(build, (True, GET), (False, answer(b"x", status=b"404 Not Found")))))
    row = outcome.http[0]
    assert (row["status"], row["bytes"], row["path"], row["seq"], row["orig"]) == (404, 1, "/a.png", 2, A)


def test_answers_of_pipelined_requests_keep_their_order(build, read):
    other = GET.replace(b"a.png", b"b")
    parts = [(True, GET), (True, other), (False, answer(status=b"200 OK")), (False, answer(status=b"500 Oops"))]
    outcome = read(build.pcap(exchange(build, *parts)))
    assert [(row["path"], row["status"]) for row in outcome.http] == [("/a.png", 200), ("/b", 500)]


def test_a_provisional_answer_is_none(build, read):
    parts = [(True, GET), (False, answer(status=b"100 Continue")), (False, answer(status=b"201 Created"))]
    assert [row["status"] for row in read(build.pcap(exchange(build, *parts))).http] == [201]


def test_a_request_without_answer_is_told_when_patience_ends(build, read):
    frames = [*exchange(build, (True, GET)), (30, build.udp(A, 9, B, 9, b"x"))]
    row = read(build.pcap(frames)).http[0]
    assert (row["status"], row["ts"] - build.base) == (0, (PATIENCE_S + 1) * 1_000_000_000)


def test_a_program_under_a_false_label(build, read):
    row = read(build.pcap(exchange(build, (True, GET), (False, answer(PE, b"image/png; a=b"))))).files[0]
    assert (row["orig"], row["resp"], row["resp_port"], row["host"], row["path"]) == (A, B, 80, B, "/a.png")
    assert (row["mime"], row["magic"], row["marks"], row["bytes"]) == ("image/png", "pe", "", len(PE))


def test_a_program_that_begins_in_the_next_segment(build, read):
    head = answer(b"", b"application/octet-stream")
    outcome = read(build.pcap(exchange(build, (True, GET), (False, head), (False, PE), (False, PE))))
    assert [(row["magic"], row["seq"]) for row in outcome.files] == [("pe", 3)]


def test_honest_answers_give_no_files(build, read):
    parts = [(True, GET), (False, answer(b"\x89PNG...", b"image/png")), (False, answer(b"<html>hello</html>"))]
    assert read(build.pcap(exchange(build, *parts))).files == []


def test_marks_of_a_page_add_up_over_segments(build, read):
    first = answer(b"<html><object classid='clsid:00000000-0000-0000-0000-000000000000'></object>")
    code = b"<script>x = unescape('%u9090%u9090%u1234%u1234%u1234%u1234')</script>"
    outcome = read(build.pcap(exchange(build, (True, GET), (False, first), (False, b"<p>text</p>"), (False, code))))
    assert [row["marks"] for row in outcome.files] == ["object", "code object"]


@pytest.mark.parametrize(
    ("client", "server", "service"),
    [
        (b"SSH-2.0-client\r\n", b"SSH-2.0-server\r\n", Service.SSH),
        (GET, answer(), Service.HTTP),
        (b"\x16\x03\x01\x00\x10\x01" + bytes(20), b"", Service.TLS),
        (b"", b"220 mail.example ESMTP\r\n", Service.SMTP),
        (b"", b"220 (files) ready\r\n", Service.FTP),
        (b"", b"+OK ready here\r\n", Service.POP3),
        (b"", b"* OK IMAP4 ready\r\n", Service.IMAP),
        (b"\x00\x00\x00\x40\xfeSMB" + bytes(60), b"", Service.SMB),
        (b"\x03\x00\x00\x13\x0e\xe0\x00\x00" + bytes(11), b"", Service.RDP),
        (b"\x00\x00\x00\x10\x00\x03\x00\x00user\0me\0", b"", Service.POSTGRESQL),
        (b"", b"\x0a\x00\x00\x00\x0a8.0.30\0\0\0", Service.MYSQL),
        (b"whatever this is", b"nothing we know", Service.UNKNOWN),
    ],
)
def test_services_by_content_on_any_port(build, read, client, server, service):
    parts = [(mine, payload) for mine, payload in ((True, client), (False, server)) if payload]
    frames = [(0, build.tcp(A, 5000, B, 902)), *((at + 1, frame) for at, frame in exchange(build, *parts, port=902))]
    assert [Service(int(row["service"])) for row in read(build.pcap(frames)).ends] == [service]


def test_only_the_first_payload_tells_the_service(build, read):
    frames = exchange(build, (True, b"something else"), (True, b"SSH-2.0-client\r\n"), port=902)
    assert [int(row["service"]) for row in read(build.pcap(frames)).ends] == [0]


def test_a_program_at_the_beginning_of_a_stream(build, read):
    frames = [(0, build.tcp(A, 5000, B, 4444)), *exchange(build, (False, struct.pack("<I", 9) + PE), port=4444)]
    row = read(build.pcap(frames)).files[0]
    assert (row["orig"], row["resp"], row["magic"], row["host"]) == (A, B, "pe", "")


def test_a_program_later_in_a_stream_is_not_its_beginning(build, read):
    frames = exchange(build, (False, bytes(40)), (False, PE), port=4444)
    assert read(build.pcap(frames)).files == []


def test_files_of_ftp_say_so(build, read):
    frames = exchange(build, (False, b"220 files ready\r\n"), port=21)
    frames.append((2, build.tcp(B, 20000, A, 5001, "PA", PE)))
    assert [row["host"] for row in read(build.pcap(frames)).files] == ["ftp"]


def arp(kind, card, sender, target):
    packed = [bytes(map(int, each.split("."))) for each in (sender, target)]
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, kind) + bytes.fromhex(card.replace(":", "")) + packed[0]
    return bytes(12) + b"\x08\x06" + body + bytes(6) + packed[1]


def test_arp_is_read_and_has_no_flow(build, read):
    card = "02:00:00:00:00:01"
    frames = [arp(1, card, A, "10.0.0.2"), arp(2, card, A, "10.0.0.2"), arp(2, card, A, A), arp(1, card, "0.0.0.0", A)]
    outcome = read(build.pcap(list(enumerate(frames))))
    assert [(row["orig"], row["resp"], row["object"], row["name"]) for row in outcome.commands] == [
        (A, "10.0.0.2", card, "request"), (A, "10.0.0.2", card, "reply"), (A, A, card, "announce"),
    ]  # fmt: skip
    assert (len(outcome.flows), outcome.counters.parsed, outcome.counters.ignored) == (0, 4, 0)


def modbus(function, unit=1):
    return struct.pack("!HHHBBHH", 7, 0, 6, unit, function, 0, 1)


def test_modbus_readings_are_told_once_and_writes_always(build, read):
    parts = [(True, modbus(function)) for function in (3, 3, 5, 5, 90)]
    outcome = read(build.pcap(exchange(build, *parts, port=502)))
    assert [(row["name"], row["code"], row["object"]) for row in outcome.commands] == [
        ("read", 3, "1"), ("write", 5, "1"), ("write", 5, "1"), ("other", 90, "1"),
    ]  # fmt: skip
    assert int(outcome.ends[0]["service"]) == Service.MODBUS
    assert ConnState(int(outcome.ends[0]["state"])) is ConnState.OTH


def test_rows_do_not_depend_on_how_packets_are_cut(build, read):
    parts = [
        (True, GET), (False, answer(PE, b"image/png")), (True, GET), (True, GET),
        (False, answer(b"clsid: no")), (True, GET),
    ]  # fmt: skip
    frames = [
        *exchange(build, *parts),
        (9, arp(1, "02:00:00:00:00:01", A, "10.0.0.3")),
        (20, build.udp(A, 9, B, 9, b"x")),
    ]
    whole, pieces = (read(build.pcap(frames), chunk=size) for size in (1 << 16, 1))
    assert (whole.http, whole.files, whole.commands) == (pieces.http, pieces.files, pieces.commands)
    assert len(whole.http) == 4
