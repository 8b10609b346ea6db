"""The columns in which exported flows pass from decoders to `pairs`: one direction a record, or both (`both`)."""

import numpy as np

RECORD = np.dtype(
    [
        ("number", "<u8"),  # of the datagram, or of the record in its file, from 1
        ("first", "<i8"),  # ns since the epoch
        ("last", "<i8"),
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("src_port", "<u2"),  # for ICMP: the type
        ("dst_port", "<u2"),  # for ICMP: the code
        ("proto", "u1"),
        ("flags", "u1"),  # of TCP, or-ed, of the source
        ("back_flags", "u1"),
        ("packets", "<u4"),
        ("back_packets", "<u4"),
        ("bytes", "<u8"),  # of IP packets
        ("back_bytes", "<u8"),
        ("both", "?"),  # the record tells both directions (RFC 5103)
        ("goes_on", "?"),  # its exporter says that the flow hadn't ended
    ]
)
MAX_AGE_NS = 86_400 * 1_000_000_000
"""A record that claims to be older is as old as this."""
ICMP = (1, 58)
MOST_PACKETS = (1 << 32) - 1
MOST_BYTES = 1 << 62
"""Larger numbers are lies, and count as these."""
