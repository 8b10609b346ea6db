"""Make a capture small without making it useless."""

import struct
from pathlib import Path

WHOLE = 600
"""Packets up to this many bytes stay whole: DNS, requests, TLS client hellos, mail, chatter."""
HEAD = 288
"""Of longer ones, nearly all of them bulk, this many bytes stay: the head of an HTTP response, for one."""


def trim(file: Path) -> None:
    """Cut the long packets of a pcap file (classic, little-endian), as a capture with a snapshot length would."""
    data = file.read_bytes()
    parts, at = [data[:24]], 24
    while at < len(data):
        seconds, fraction, kept, length = struct.unpack_from("<IIII", data, at)
        keep = kept if length <= WHOLE else min(kept, HEAD)
        parts += [struct.pack("<IIII", seconds, fraction, keep, length), data[at + 16 : at + 16 + keep]]
        at += 16 + kept
    file.write_bytes(b"".join(parts))
