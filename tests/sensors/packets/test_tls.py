"""TLS: fingerprints as published, certificates of every kind, handshakes over many segments."""

import datetime
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sensors.packets import certificates, fingerprints, tls
from sensors.packets.handshakes import PATIENCE_S, Stream
from sensors.packets.streams import MOST_BYTES
from sensors.packets.tls import ClientHello

A, B = "10.0.0.1", "192.0.2.9"
GREASE = 0x3A3A
BEGIN, END = (datetime.datetime(year, 3, 1, tzinfo=datetime.UTC) for year in (2026, 2027))
# the examples of JA3's and JA4's own descriptions, and one that a public service shows with what it is made of
CHROME = ClientHello(
    True, "example.com", 0x0303, (GREASE, 0x0304, 0x0303),
    (GREASE, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D,
     0x2F, 0x35),
    (GREASE, 0x1B, 0, 0x33, 0x10, 0x4469, 0x17, 0x2D, 0xD, 5, 0x23, 0x12, 0x2B, 0xFF01, 0xB, 0xA, 0x15, GREASE),
    (GREASE, 29, 23, 24), (0,), (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601), (b"h2", b"http/1.1"),
)  # fmt: skip
OLD = ClientHello(
    True, "", 769, (), (47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4), (0, 10, 11), (23, 24, 25), (0,)
)
PYTHON = ClientHello(
    True, "x", 0x0303, (0x0304, 0x0303),
    (0xFF, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9),
    (0, 0x10, 5, 0xA, 0xB, 0xD, 0x17, 0x23, 0x2B, 0x2D, 0x33), (), (),
    (0x0503, 0x0403, 0x0807, 0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401), (b"h2",),
)  # fmt: skip


def packed(hello, padding=0):
    """Return the record of a hello."""
    shorts = lambda values: struct.pack(f"!{len(values)}H", *values)  # noqa: E731
    listed = lambda data: struct.pack("!H", len(data)) + data  # noqa: E731
    contents = {
        0: listed(b"\0" + listed(hello.name.encode())), 10: listed(shorts(hello.groups)),
        11: bytes([len(hello.points), *hello.points]), 13: listed(shorts(hello.signatures)),
        16: listed(b"".join(bytes([len(each)]) + each for each in hello.protocols)),
        43: bytes([2 * len(hello.versions)]) + shorts(hello.versions), 21: bytes(padding),
    }  # fmt: skip
    extensions = b"".join(struct.pack("!H", kind) + listed(contents.get(kind, b"")) for kind in hello.extensions)
    body = (
        shorts((hello.version,))
        + bytes(32)
        + b"\x20"
        + bytes(32)
        + listed(shorts(hello.ciphers))
        + b"\1\0"
        + listed(extensions)
    )
    return record(b"\1" + len(body).to_bytes(3, "big") + body)


def record(body, kind=22):
    return bytes([kind]) + b"\3\1" + struct.pack("!H", len(body)) + body


def message(kind, body):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def server_hello(modern=False):
    extension = b"\0\x2b\0\2\3\4" if modern else b""
    return message(2, b"\3\3" + bytes(32) + b"\0\xc0\x2f\0" + struct.pack("!H", len(extension)) + extension)


def shown(der):
    chain = len(der).to_bytes(3, "big") + der
    return message(11, len(chain).to_bytes(3, "big") + chain)


def signed(key, *, issuer=None, name="host.example", by=None):
    subject = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, name), x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Org")]
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateBuilder(issuer or subject, subject, key.public_key(), 7, BEGIN, END)
    return builder.sign(by or key, algorithm).public_bytes(Encoding.DER)


KEYS = {
    "ec-secp256r1": ec.generate_private_key(ec.SECP256R1()), "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa-2048": rsa.generate_private_key(65537, 2048), "dsa-2048": dsa.generate_private_key(2048),
}  # fmt: skip
EC = KEYS["ec-secp256r1"]
DER = signed(EC)


def test_ja3_and_ja4_as_published():
    assert fingerprints.ja3_text(OLD) == "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"
    assert fingerprints.ja3(OLD) == "ada70206e40642a3e4461f35503241d5"
    assert fingerprints.ja4(CHROME) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert fingerprints.ja4(PYTHON) == "t13d1011h2_61a7ad8aa9b6_3fcd1a44f3e3"


@pytest.mark.parametrize(
    ("protocol", "ends"),
    [(b"", "00"), (b"h2", "h2"), (b"http/1.1", "h1"), (b"x", "xx"), (b"\xab\xcd", "ad"), (b"0\xab", "3b")]
)  # fmt: skip
def test_the_protocol_in_ja4(protocol, ends):
    assert fingerprints.ja4(ClientHello(True, protocols=(protocol,)))[8:10] == ends


def test_ja4_of_a_hello_without_anything():
    assert fingerprints.ja4(ClientHello(True, version=0x0301)) == "t10i000000_000000000000_000000000000"


@pytest.mark.parametrize("hello", [CHROME, OLD, PYTHON])
def test_a_hello_is_read_as_it_was_written(hello):
    read = tls.client_hello(packed(hello))
    for name in ("name", "versions", "ciphers", "extensions", "groups", "points", "signatures", "protocols"):
        given_here = getattr(hello, name)
        assert getattr(read, name) == (
            given_here if name in ("ciphers", "extensions") or given_here else getattr(read, name)
        )
    assert fingerprints.ja4(read) == fingerprints.ja4(hello)


def test_a_hello_that_is_cut_has_no_fingerprint_but_may_have_a_name():
    read = tls.client_hello(packed(CHROME)[:200])
    assert (read.whole, fingerprints.ja3(read), fingerprints.ja4(read)) == (False, "", "")
    assert tls.client_hello(packed(PYTHON)[:-4]).name == "x"


def test_a_hello_over_two_records():
    whole = packed(CHROME)[5:]
    assert fingerprints.ja4(tls.client_hello(record(whole[:40]) + record(whole[40:]))) == fingerprints.ja4(CHROME)


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_certificates(kind):
    found = certificates.read(signed(KEYS[kind]))
    assert (found.subject, found.issuer, found.key, found.self_signed) == (
        "CN=host.example,O=Org",
        found.subject,
        kind,
        True,
    )
    assert (found.not_before, found.not_after) == (int(BEGIN.timestamp()) * 10**9, int(END.timestamp()) * 10**9)


def test_the_same_name_is_no_signature():
    assert not certificates.read(signed(EC, by=ec.generate_private_key(ec.SECP256R1()))).self_signed
    other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    found = certificates.read(signed(EC, issuer=other, by=ec.generate_private_key(ec.SECP256R1())))
    assert (found.issuer, found.self_signed) == ("CN=CA", False)


def test_a_cut_certificate_keeps_its_names():
    found = certificates.read(signed(EC)[:-9])
    assert (found.subject, found.key, found.not_after) == ("CN=host.example,O=Org", "", 0)


@given(st.data())
def test_damage_never_raises(data):
    der = bytearray(DER)
    for _ in range(data.draw(st.integers(1, 6))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    assert certificates.read(bytes(der)).subject.isprintable()
    hello = bytearray(packed(CHROME))
    for _ in range(data.draw(st.integers(1, 6))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    read = tls.client_hello(bytes(hello))
    assert len(fingerprints.ja4(read)) in (0, 36)
    assert tls.server_flight(bytes(hello) + bytes(der)).version


@given(st.permutations(range(8)), st.integers(0, 0xFFFFFFFF))
def test_a_stream_in_any_order(order, first):
    stream = Stream(first)
    for part in (*order, *order[:3]):
        stream.add((first + part * 10) & 0xFFFFFFFF, bytes([part]) * 15)  # each overlaps the next
    assert bytes(stream.data[:10]) == bytes(10) and len(stream.data) == 85
    assert [stream.data[at] for at in range(9, 80, 10)] == sorted(stream.data[at] for at in range(9, 80, 10))


def test_a_stream_is_bounded():
    stream = Stream(0)
    for number in range(0, 4 * MOST_BYTES, 1000):
        stream.add(number, bytes(1000))
    stream.add(MOST_BYTES * 2, bytes(9))
    assert len(stream.data) <= MOST_BYTES


def segments(build, data, *, mine, size=1200, at=0.0, first=1000):
    ends = (A, 5000, B, 443) if mine else (B, 443, A, 5000)
    return [
        (at + place / 10**6, build.tcp(*ends, "PA", data[place : place + size], seq=first + place))
        for place in range(0, len(data), size)
    ]


def connection(build, *, modern=False, size=1200):
    certificate = signed(KEYS["rsa-2048"])
    hello = packed(CHROME, padding=1500)
    answer = record(server_hello(modern))
    answer += record(b"", 20) + record(bytes(2000), 23) if modern else record(shown(certificate) + message(14, b""))
    return [
        *segments(build, hello, mine=True, size=size),
        *segments(build, answer, mine=False, size=size, at=0.1),
    ]


@pytest.mark.parametrize("size", [8000, 1200, 400])
def test_a_handshake_over_any_segments(build, read, size):
    (row,) = read(build.pcap(connection(build, size=size))).tls
    assert (row["orig"], row["resp"], row["resp_port"], row["sni"], row["version"]) == (
        A,
        B,
        443,
        "example.com",
        "TLSv12",
    )
    assert (row["ja4"], row["alpn"]) == ("t13d1516h2_8daaf6152771_e5627efa2ab1", "h2,http/1.1")
    assert len(row["ja3"]) == 32
    assert (row["subject"], row["self_signed"], row["key"]) == ("CN=host.example,O=Org", 1, "rsa-2048")
    assert row["not_after"] == int(END.timestamp()) * 10**9


def test_segments_out_of_order_and_sent_again(build, read):
    frames = connection(build, size=400)
    hello = [index for index, (at, _) in enumerate(frames) if at < 0.1][-1] + 1
    mine, theirs = frames[:hello], frames[hello:]
    shuffled = [mine[0], *reversed(mine[1:]), mine[2], theirs[0], *reversed(theirs[1:])]
    times = sorted(at for at, _ in shuffled)
    (row,) = read(build.pcap([(at, frame) for at, (_, frame) in zip(times, shuffled, strict=True)])).tls
    assert (row["ja4"], row["key"]) == ("t13d1516h2_8daaf6152771_e5627efa2ab1", "rsa-2048")


def test_tls_13_shows_no_certificate_and_is_told_at_once(build, read):
    frames = connection(build, modern=True)
    (row,) = read(build.pcap(frames)).tls
    assert (row["version"], row["subject"], row["not_after"]) == ("TLSv13", "", 0)
    assert row["seq"] == 3  # two segments of the hello, then the server's


def test_a_handshake_that_breaks_off_is_told_when_patience_ends(build, read):
    frames = [*connection(build, size=400)[:-1], (30, build.udp(A, 9, B, 9, b"x"))]
    (row,) = read(build.pcap(frames)).tls
    assert (row["sni"], row["ts"] - build.base) == ("example.com", (PATIENCE_S + 1) * 10**9)


def test_rows_do_not_depend_on_how_packets_are_cut(build, read):
    frames = [*connection(build, size=300), (30, build.udp(A, 9, B, 9, b"x"))]
    whole, pieces = (read(build.pcap(frames), chunk=size).tls for size in (1 << 16, 1))
    assert whole == pieces and len(whole) == 1


ASK = """
import json, sys, pyshark
for packet in pyshark.FileCapture(sys.argv[1], keep_packets=False, display_filter="tls.handshake.type == 1"):
    layer = packet.tls
    field = "handshake_extensions_server_name"
    name = str(getattr(layer, field)) if field in layer.field_names else ""
    print(json.dumps([str(packet.ip.src), name, str(layer.handshake_ja3)]))
"""
CAPTURES = Path(__file__).parents[3] / "examples" / "captures"


@pytest.mark.slow
@pytest.mark.server
def test_tshark_computes_the_same_fingerprints(read):
    if shutil.which("tshark") is None:
        pytest.fail("no tshark") if os.environ.get("CI") else pytest.skip("no tshark: it is NOT asked")
    capture = CAPTURES / "office.pcap"
    command = [sys.executable, "-W", "ignore", "-c", ASK, str(capture)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = {tuple(json.loads(line)) for line in lines}
    ours = {(row["orig"], row["sni"], row["ja3"]) for row in read(capture.read_bytes()).tls}
    assert ours and ours <= theirs
    answered = {(orig, name) for orig, name, _ in ours}
    assert {row for row in theirs if row[:2] in answered} == ours


def test_a_certificate_of_no_version_keeps_its_names():
    harmed = DER.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x42", 1)
    found = certificates.read(harmed)
    assert (found.subject, found.key) == ("CN=host.example,O=Org", "")


def test_what_a_snap_length_cut_is_not_waited_for_in_vain(build, read):
    frames = [*connection(build), (30, build.udp(A, 9, B, 9, b"x"))]
    (row,) = read(build.pcap(frames, snap=400)).tls
    assert (row["sni"], row["ja4"], row["key"]) == ("example.com", "", "")
    assert row["ts"] - build.base == (PATIENCE_S + 1) * 10**9
