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


CAPTURES = {
    "plain.pcap": head() + b"".join(record(i) for i in range(4)),
    "big-endian-nanosecond.pcap": head(">", 0xA1B23C4D) + b"".join(record(i, ">") for i in range(4)),
    "cut.pcap": (head() + b"".join(record(i) for i in range(4)))[:-11],
    "lying-length.pcap": head() + record(0) + record(1, captured=0xFFFFFFF0) + record(2) + record(3),
    "zero-length.pcap": head() + record(0) + record(1, frame=b"") + record(2) + record(3),
    "future-dated.pcap": head() + record(0) + record(10**8) + record(2) + record(3),
    "out-of-order.pcap": head() + record(3) + record(2) + record(1) + record(0),
    "ip-header-too-short.pcap": head() + record(0) + record(1, frame=FRAME[:14] + b"\x44" + IP[1:]) + record(2),
    "unknown-link.pcap": head(link=147) + record(0),
    "two-sections.pcapng": section("<", 1, FRAME) + section(">", 101, IP),
    "bad-block.pcapng": section("<", 1, FRAME) + b"\x06\0\0\0\xff\xff\xff\x0f" + bytes(40) + section("<", 1, FRAME),
}


if __name__ == "__main__":
    for name, content in CAPTURES.items():
        (FOLDER / name).write_bytes(content)
