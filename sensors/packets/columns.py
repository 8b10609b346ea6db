"""The columns in which packets pass between walkers, decoder and flow table, and the codes of what is wrong with them.

A packet is one row of a `PACKET` array. The walker fills `ts` to `link`, the decoder the rest. `offset` points into the
bytes of the source; whoever fills it guarantees that `offset + captured` lies inside them.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.int64]
Row: TypeAlias = np.void
"""One row of a structured array."""

PACKET = np.dtype(
    [
        ("ts", "<i8"),  # ns since the epoch, as captured
        ("number", "<u8"),  # from 1
        ("offset", "<i8"),  # of the frame's first byte
        ("captured", "<u4"),  # bytes of the frame that are there
        ("wire", "<u4"),  # bytes that it had on the wire
        ("link", "<u2"),  # link type (https://www.tcpdump.org/linktypes.html)
        ("status", "u1"),
        ("hint", "<u2"),
        ("sign", "u1"),  # the `Service` that the payload's first bytes speak of
        ("at", "<i8"),  # event time: the highest ts so far
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("src_port", "<u2"),  # for ICMP: the type (of the request, where it is a reply)
        ("dst_port", "<u2"),  # for ICMP: the code
        ("proto", "u1"),
        ("flags", "u1"),
        ("tunnel", "u1"),  # the `Tunnel` that it came through; everything below is of the packet inside
        ("piece", "u1"),  # of a fragmented packet: `WHOLE`, `FIRST`, `LATER`
        ("tunnel_id", "<u4"),  # VXLAN or GENEVE network, GRE key, MPLS label; 0 where it has none
        ("ident", "<u4"),  # identification that the fragments of a packet share
        ("seq", "<u4"),  # TCP sequence number
        ("window", "<u2"),  # TCP window, not scaled
        ("ip_bytes", "<u4"),
        ("payload_bytes", "<u4"),  # of the transport, from the lengths in the headers
        ("payload", "<u4"),  # where it begins, from `offset`
    ],
    align=True,
)

# Values of `status`.
PARSED = 0
IGNORED = 1
MALFORMED = 2
BELOW = 3  # understood, but it has no flow (ARP)

# Values of `piece`.
WHOLE = 0
FIRST = 1
LATER = 2

# Bits of `hint`.
HINT_DNS = 1
HINT_HTTP = 2
HINT_REPLY = 4  # an ICMP reply: it belongs to the flow that the other side began
HINT_RESPONSE = 8  # begins an HTTP/1 response
HINT_COMMAND = 16  # to be read by `commands`
HINT_FIRST = 32  # the first payload after the head of a response (set by `flows`)
HINT_BODY = 64  # among the first bytes after the head of a response (set by `flows`)
HINT_TEXT = 256  # the response declares text that isn't compressed
HINT_STREAM = 512  # may go on with a TLS handshake (set by `chosen`)
HINT_BINARY = 128  # begins like a program; `flows` keeps it only at the beginning of a stream that is not HTTP

FAULT = np.dtype([("offset", "<i8"), ("number", "<u8"), ("code", "<i8")])

# Codes of faults inside kernels.
BAD_RECORD = 1
CUT_RECORD = 2
BAD_INTERFACE = 3
BAD_TIME = 4
EMPTY = 5
CUT_HEADER = 6
BAD_IP = 7
BAD_TRANSPORT = 8
BAD_DNS = 9

FAULT_TEXTS: Mapping[int, tuple[str, str]] = {
    BAD_RECORD: ("capture.record", "a record makes no sense; reading goes on at the next one that does"),
    CUT_RECORD: ("capture.cut", "the capture ends inside a record"),
    BAD_INTERFACE: ("capture.interface", "an interface that is not described, or one too many"),
    BAD_TIME: ("capture.time", "a time stamp outside 1970 to 2262"),
    EMPTY: ("packet.empty", "a packet without bytes"),
    CUT_HEADER: ("packet.cut", "the packet ends inside a header"),
    BAD_IP: ("packet.ip", "an IP header that contradicts itself"),
    BAD_TRANSPORT: ("packet.transport", "a transport header that contradicts itself"),
    BAD_DNS: ("packet.dns", "a DNS question that is not well formed"),
}
"""Code inside kernels -> (stable code, what is wrong)."""
