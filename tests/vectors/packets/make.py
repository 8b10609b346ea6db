"""Make the captures of this folder, byte for byte the same each time. `expected.json` says what a reader must find.

python tests/vectors/packets/make.py
"""

import struct
from pathlib import Path

FOLDER = Path(__file__).parent
T = 1_700_000_000
BODY = struct.pack("!HHHH", 1111, 2222, 18, 0) + b"0123456789"
IP = struct.pack("!BBHHHBBH", 0x45, 0, 38, 7, 0, 64, 17, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + BODY
FRAME = bytes(12) + b"\x08\x00" + IP


def head(order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1) -> bytes:
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)


def record(second: int, order: str = "<", frame: bytes = FRAME, captured: int | None = None) -> bytes:
    size = len(frame) if captured is None else captured
    return struct.pack(order + "IIII", T + second, 123, size, len(frame)) + frame


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order: str, link: int, frame: bytes) -> bytes:
    ticks = (T * 10**6).to_bytes(8, "big")
    high, low = struct.unpack("!II", ticks)
    return (
        block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(order, 1, struct.pack(order + "HHI", link, 0, 0))
        + block(order, 6, struct.pack(order + "IIIII", 0, high, low, len(frame), len(frame)) + frame)
    )


def tcp(to: int, payload: bytes, back: bool = False) -> bytes:
    """Return a frame from 10.0.0.1 to the port `to` of 10.0.0.2, or back."""
    ports, ends = ((to, 5000), b"\x0a\0\0\2\x0a\0\0\1") if back else ((5000, to), b"\x0a\0\0\1\x0a\0\0\2")
    body = struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, 24, 1024, 0, 0) + payload
    return bytes(12) + b"\x08\x00" + struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, 6, 0) + ends + body


CALL = b"\5\0\0\3\x10\0\0\0\x20\0\0\0\1\0\0\0\x08\0\0\0\0\0\x0c\0" + bytes(8)
BIND = b"\5\0\x0b\3\x10\0\0\0\x48\0\0\0\1\0\0\0\xb8\x10\xb8\x10\0\0\0\0\1\0\0\0\0\0\1\0"
BIND += bytes.fromhex("81bb7a364498f135ad3298f038001003") + bytes(24)
SMB = b"\0\0\0\x70\xfeSMB\x40\0\0\0\0\0\0\0" + b"\x09\0" + bytes(50)
PAGE = b"<object classid='clsid:00000000-0000-0000-0000-000000000000'></object><script>while (s.length < 999) s += s"
MESSAGES = (
    tcp(80, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
    tcp(80, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 300\r\n\r\n<html>" + PAGE, back=True),
    tcp(80, PAGE + b"x = unescape('%u9090%u9090')", back=True),
    tcp(49670, BIND),
    tcp(49670, CALL),
    tcp(445, SMB + bytes(46) + CALL),
    tcp(445, SMB.replace(b"\x09\0", b"\5\0") + bytes(44) + b"\x78\0\x0c\0" + bytes(8) + "svcctl".encode("utf-16-le")),
    tcp(445, b"\0\0\0\x40\xffSMB\xa2" + bytes(30) + b"\\svcctl\0"),
    tcp(445, b"\0\0\0\x40\xfcSMB" + b"\xff" * 60),
    tcp(502, b"\0\1\0\0\0\6\1\5\0\0\xff\0"),
    tcp(443, b"\x16\3\1\0\x40\1\0\0\x3c\3\3" + bytes(80)),
    tcp(443, b"\x16\3\3\0\x40\2\0\0\x26\3\3" + bytes(80), back=True),
    tcp(443, b"\x18\3\2\0\3\1\x40\0"),
    tcp(25, b"EXPN \nX\r\n"),
    tcp(143, b"a1 FETCH " + b"A" * 300),
    tcp(53, b"\xff\xf6\0\1\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\x18\0\1" + bytes(40), back=True),
    tcp(4444, b"\0\0\1\0MZ" + bytes(90)),
    bytes(12) + b"\x08\x06\0\1\x08\0\6\4\0\1" + bytes(6) + b"\x0a\0\0\1" + bytes(6) + b"\x0a\0\0\2",
)

TWICE = (tcp(9, b"one"), tcp(9, b"one").replace(b"\0\0\0\1\0\0\0\1P", b"\0\0\0\4\0\0\0\1P"))


def flipped(capture: bytes, *places: tuple[int, int]) -> bytes:
    """Return a capture with single bits flipped: (number of the record, bit in it)."""
    changed = bytearray(capture)
    for number, bit in places:
        changed[24 + number * len(record(0)) + bit // 8] ^= 1 << bit % 8
    return bytes(changed)


CAPTURES = {
    "messages.pcap": head() + b"".join(record(second, frame=frame) for second, frame in enumerate(MESSAGES)),
    "plain.pcap": head() + b"".join(record(i) for i in range(4)),
    "big-endian-nanosecond.pcap": head(">", 0xA1B23C4D) + b"".join(record(i, ">") for i in range(4)),
    "cut.pcap": (head() + b"".join(record(i) for i in range(4)))[:-11],
    "lying-length.pcap": head() + record(0) + record(1, captured=0xFFFFFFF0) + record(2) + record(3),
    "zero-length.pcap": head() + record(0) + record(1, frame=b"") + record(2) + record(3),
    "future-dated.pcap": head() + record(0) + record(10**8) + record(2) + record(3),
    "out-of-order.pcap": head() + record(3) + record(2) + record(1) + record(0),
    "bit-flipped.pcap": flipped(head() + b"".join(record(i) for i in range(6)), (2, 8 * 10 + 6), (4, 8 * 30 + 2)),
    "duplicated.pcap": head() + b"".join(record(i, frame=frame) for i, frame in enumerate(TWICE) for _ in range(2)),
    "ip-header-too-short.pcap": head() + record(0) + record(1, frame=FRAME[:14] + b"\x44" + IP[1:]) + record(2),
    "unknown-link.pcap": head(link=147) + record(0),
    "two-sections.pcapng": section("<", 1, FRAME) + section(">", 101, IP),
    "bad-block.pcapng": section("<", 1, FRAME) + b"\x06\0\0\0\xff\xff\xff\x0f" + bytes(40) + section("<", 1, FRAME),
}


if __name__ == "__main__":
    for name, content in CAPTURES.items():
        (FOLDER / name).write_bytes(content)
