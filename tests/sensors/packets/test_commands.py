"""Remote procedure calls, pipes and odd commands; and that nothing raises on hostile bytes."""

import struct
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.packets import certificates, commands, responses, tls
from sensors.packets.commands import Calls, Command
from sensors.packets.interfaces import INTERFACES
from sensors.packets.magic import magic_of
from sensors.packets.pages import marks_in

A, B = "10.0.0.1", "10.0.0.2"
IDENTITY = {name: UUID(text).bytes_le for text, name in INTERFACES.items()}


def bind(interface, context=0):
    body = struct.pack("<HHIBxxxHBx", 4280, 4280, 0, 1, context, 1) + IDENTITY[interface] + bytes(4 + 20)
    return struct.pack("<BBBB4sHHI", 5, 0, 11, 3, b"\x10\0\0\0", 16 + len(body), 0, 1) + body


def request(number, stub=b"", context=0):
    head = struct.pack("<BBBB4sHHI", 5, 0, 0, 3, b"\x10\0\0\0", 24 + len(stub), 0, 1)
    return head + struct.pack("<IHH", len(stub), context, number) + stub


def smb(command, body, first=b"\xfe"):
    return (
        struct.pack("!I", 64 + len(body))
        + first
        + b"SMB"
        + struct.pack("<HHIHH", 64, 0, 0, command, 0)
        + bytes(48)
        + body
    )


def write(call, pipe):
    return smb(9, struct.pack("<HHIQ16sIIHHI", 49, 112, len(call), 0, pipe, 0, 0, 0, 0, 0) + call)


def test_calls_over_tcp_through_the_sensor(build, read):
    frames = [
        (i, build.tcp(A, 5, B, 49670, "PA", part)) for i, part in enumerate((bind("svcctl"), request(12, b"x" * 40)))
    ]
    rows = read(build.pcap(frames)).commands
    assert [(row["protocol"], row["object"], row["name"], row["code"], row["size"]) for row in rows] == [
        ("dcerpc", "svcctl", "bind", 0, 0), ("dcerpc", "svcctl", "call", 12, 40),
    ]  # fmt: skip


def test_calls_inside_smb_keep_their_pipes_apart(build, read):
    one, two = b"1" * 16, b"2" * 16
    parts = [write(bind("samr"), one), write(bind("svcctl"), two), write(request(13), one), write(request(19), two)]
    frames = [(i, build.tcp(A, 5, B, 445, "PA", part)) for i, part in enumerate(parts)]
    rows = read(build.pcap(frames)).commands
    assert [(row["object"], row["code"]) for row in rows if row["name"] == "call"] == [("samr", 13), ("svcctl", 19)]


def test_a_pipe_and_a_program_that_are_opened_are_told_and_other_files_are_not(build, read):
    def opened(name):
        raw = name.encode("utf-16-le")
        return smb(5, struct.pack("<HBBIQQIIIIIHHII", 57, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 120, len(raw), 0, 0) + raw)

    names = ("svcctl", "dir\\TOOL.EXE", "letter.txt")
    frames = [(i, build.tcp(A, 5, B, 445, "PA", opened(name))) for i, name in enumerate(names)]
    assert [row["object"] for row in read(build.pcap(frames)).commands] == ["svcctl", "tool.exe"]


def test_a_call_without_its_bind_has_no_interface():
    assert Calls().read("c", b"", request(3, b"y")) == [Command("dcerpc", "", "call", 3, 1)]


def test_a_credential_of_zeros():
    calls = Calls()
    calls.read("c", b"", bind("netlogon"))
    assert calls.read("c", b"", request(26, b"name" * 9 + bytes(8)))[0].name == "null credential"
    assert calls.read("c", b"", request(26, b"\x01\x02\x03\x04" * 12))[0].name == "call"


@pytest.mark.parametrize(
    ("line", "port", "expected"),
    [
        (b"a3 FETCH 1:4 " + b"A" * 900 + b"\r\n", 143, Command("imap", "", "FETCH", 0, 900)),
        (b"VRFY root\r\n", 25, Command("smtp", "", "VRFY", 0, 4)),
        (b"EXPN \nX\r\n", 25, Command("smtp", "garbled", "EXPN", 0, 1)),
    ],
)
def test_lines(line, port, expected):
    assert commands.line(line, port) == [expected]


def test_a_heartbeat_that_lies():
    assert commands.heartbeat(b"\x18\x03\x02\x00\x03\x01\x40\x00") == [Command("tls", "", "heartbeat", 0x4000, 3)]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0", "pe"),
        (b"MZ is a country code" * 9, ""), (b"\x7fELF\x02", "elf"),
        (b"#!/bin/sh\n", "script"), (b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 5, 0) + b"xl/ab", "office"),
        (b"<html>", ""), (b"", ""),
    ],
)  # fmt: skip
def test_magic(head, name):
    assert magic_of(head) == name


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (b"new ActiveXObject('A.B')", {"object"}),
        (b"while (s.length < 4000) s += s;", {"spray"}),
        (b"s = String(2000, \"A\")", {"overlong"}),
        (b"arg = \"c:\\windows\\x.ini\"", {"path"}),
        (b"<p>See C:\\Windows for details, or clsid in general</p>", set()),
        (b"decodeURIComponent('%41%20b')", set()),
    ],
)  # fmt: skip
def test_marks(text, marks):
    assert marks_in(text) == marks


def hello(server):
    names = struct.pack("!HBH", len(server) + 3, 0, len(server)) + server
    extension = struct.pack("!HH", 0, len(names)) + names
    body = (
        b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + struct.pack("!H", len(extension)) + extension
    )
    return b"\x16\x03\x01" + struct.pack("!H", len(body) + 4) + b"\x01" + len(body).to_bytes(3, "big") + body


def der(tag, *parts):
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + struct.pack("!H", len(body))
    return bytes([tag]) + size + body


def certificate(name):
    names = der(0x30, der(0x31, der(0x30, der(6, b"\x55\x04\x03"), der(12, name))))
    inside = der(0x30, der(0xA0, der(2, b"\2")), der(2, b"\1"), der(0x30), names, der(0x30), names, der(0x30))
    return der(0x30, inside)


def test_tls_greetings_through_the_sensor(build, read):
    leaf = certificate(b"example.com")
    chain = len(leaf).to_bytes(3, "big") + leaf
    body = b"\x02\0\0\x26\x03\x03" + bytes(32) + b"\0\xc0\x2f\0" + b"\x0b" + (len(chain) + 3).to_bytes(3, "big")
    body += len(chain).to_bytes(3, "big") + chain
    flight = b"\x16\x03\x03" + struct.pack("!H", len(body)) + body
    frames = [(0, build.tcp(A, 5, B, 8443, "PA", hello(b"Www.Example"))), (1, build.tcp(B, 8443, A, 5, "PA", flight))]
    row = read(build.pcap(frames)).tls[0]
    assert (row["orig"], row["resp"], row["resp_port"], row["sni"]) == (A, B, 8443, "www.example")
    assert (row["version"], row["subject"], row["issuer"]) == ("TLSv12", "CN=example.com", "CN=example.com")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x05\0\x0b\x03\x10\0\0\0", b"\0\0\0\x40\xfeSMB", b"\0\0\0\x40\xffSMB"]),
)
def test_nothing_raises(data, begin):
    calls, message = Calls(), begin + data
    calls.read("c", b"", (message + bytes(24))[:300])
    for piece in (message, message[:40], message[:7]):
        commands.smb(calls, "c", piece)
        commands.modbus(piece)
        commands.heartbeat(piece)
        commands.long_answer(piece)
        commands.line(piece, 25)
        magic_of(piece)
        marks_in(piece)
        assert tls.client_hello(piece).name.isprintable()
        assert certificates.read(tls.server_flight(b"\x16\x03\x03\x00\xff" + piece).certificate).subject.isprintable()
        found = responses.parse(b"HTTP/1.1 200 " + piece)
        assert found is not None
        responses.beginning(found, piece)
