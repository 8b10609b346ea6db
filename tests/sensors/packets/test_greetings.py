"""SSH, SMB and RDP say who they are; alone and through the sensor."""

import json
import os
import shutil
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.packets import greetings
from sensors.packets.commands import Command

A, B = "10.0.0.1", "192.0.2.9"
OFFERED = (b"PC NETWORK PROGRAM 1.0", b"LANMAN1.0", b"NT LM 0.12")
RDP = b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=Admin\r\n\x01\0\x08\0\x03\0\0\0"


def smb1(dialects=OFFERED):
    body = b"".join(b"\2" + each + b"\0" for each in dialects)
    message = b"\xffSMB\x72" + bytes(4) + b"\x18\x53\xc8" + bytes(20) + b"\0" + struct.pack("<H", len(body)) + body
    return struct.pack("!I", len(message)) + message


def smb2(dialect=0x0311, response=True, command=0):
    head = b"\xfeSMB" + struct.pack("<HHIHHII", 64, 0, 0, command, 1, int(response), 0) + bytes(40)
    message = head + struct.pack("<HHHH", 65, 1, dialect, 0) + bytes(57)
    return struct.pack("!I", len(message)) + message


@pytest.mark.parametrize(
    ("banner", "software", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "OpenSSH_9.2p1", 20),
        (b"SSH-1.99-Cisco-1.25\n", "Cisco-1.25", 109),
        (b"SSH-2.0-Go\r\n\0\0\1", "Go", 20),
        (b"SSH-2.0-\r\n", "", 20),
    ],
)
def test_ssh(banner, software, code):
    assert greetings.ssh(banner, "client") == [
        Command("ssh", software, "client", code, len(banner.split(b"\r")[0].split(b"\n")[0]))
    ]


def test_what_is_no_ssh():
    assert greetings.ssh(b"SSH-x.0-a\r\n", "client") == []


def test_rdp():
    assert greetings.rdp(RDP) == [Command("rdp", "admin", "connect", 3, 43)]
    assert greetings.rdp(b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0") == [Command("rdp", "", "connect", 0, 11)]
    assert greetings.rdp(b"\x03\0\0\x0b\x06\xd0\0\0\0\0\0") == []


def test_smb_offers_and_dialects():
    assert greetings.smb_offer(smb1()) == [Command("smb", "nt lm 0.12", "offer", 3, len(smb1()))]
    assert greetings.smb_dialect(smb2()) == [Command("smb", "3.1.1", "dialect", 0x0311, len(smb2()))]
    assert greetings.smb_dialect(smb2(0x9999))[0].object == "0x9999"


@pytest.mark.parametrize("message", [smb2(response=False), smb2(command=5), smb2()[:73], smb1()])
def test_what_settles_no_dialect(message):
    assert not greetings.settles_smb(message)


CONVERSATIONS = (
    (22, True, b"SSH-2.0-libssh2_1.10.0\r\n"), (22, False, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    (3389, True, RDP), (445, True, smb1()), (445, False, smb2(0x0210)),
)  # fmt: skip


def frames(build):
    return [
        (at / 10, build.tcp(*((A, 5000, B, port) if mine else (B, port, A, 5000)), "PA", payload))
        for at, (port, mine, payload) in enumerate(CONVERSATIONS)
    ]


def test_through_the_sensor(build, read):
    rows = read(build.pcap(frames(build))).commands
    assert all((row["orig"], row["resp"]) == (A, B) for row in rows)
    assert [(row["protocol"], row["resp_port"], row["object"], row["name"]) for row in rows] == [
        ("ssh", 22, "libssh2_1.10.0", "client"), ("ssh", 22, "OpenSSH_9.2p1", "server"),
        ("rdp", 3389, "admin", "connect"),
        ("smb", 445, "nt lm 0.12", "offer"), ("smb", 445, "2.1", "dialect"),
    ]  # fmt: skip


ASK = """
import json, sys, pyshark
wanted = (("ssh", "protocol"), ("rdp", "rt_cookie"), ("smb", "dialect_name"), ("smb2", "dialect"))
for packet in pyshark.FileCapture(sys.argv[1], keep_packets=False):
    for layer, field in wanted:
        if layer in packet and field in packet[layer].field_names:
            values = [str(each.get_default_value()) for each in packet[layer].get_field(field).all_fields]
            print(json.dumps([layer, values]))
"""


@pytest.mark.slow
@pytest.mark.server
def test_tshark_reads_the_same(build, tmp_path):
    if shutil.which("tshark") is None:
        pytest.fail("no tshark") if os.environ.get("CI") else pytest.skip("no tshark: it is NOT asked")
    path = tmp_path / "greetings.pcap"
    path.write_bytes(build.pcap(frames(build)))
    command = [sys.executable, "-W", "ignore", "-c", ASK, str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert ["ssh", ["SSH-2.0-libssh2_1.10.0"]] in told and ["rdp", ["Cookie: mstshash=Admin"]] in told
    assert any(layer == "smb2" and int(values[0], 16) == 0x0210 for layer, values in told)


@given(st.binary(max_size=200), st.sampled_from([b"", RDP[:20], smb1()[:50], smb2()[:70], b"SSH-2.0-"]))
def test_nothing_raises(data, begin):
    message = begin + data
    for found in (greetings.ssh(message, "client"), greetings.rdp(message), greetings.smb_offer(message)):
        assert all(each.object.isprintable() for each in found)
    if greetings.settles_smb(message):
        assert greetings.smb_dialect(message)
