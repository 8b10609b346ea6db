"""What is kept of a flow (a node) and of each of its two sides, and where the numbers of a whole table lie."""

from typing import Final, NamedTuple

import numpy as np

from sensors.packets.columns import Bytes, Numbers
from sensors.values import Rows

SECOND: Final = 1_000_000_000

TCP: Final = 6
UDP: Final = 17
ICMP: Final = 1
ICMP6: Final = 58

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
ACK: Final = 16

# Phases of a node.
LIVE: Final = 0
DORMANT: Final = 1  # reported at the active time-out; no packet since
OVER: Final = 2  # its END is out; it only waits for stragglers

NODE = np.dtype(
    [
        ("orig_hi", "<u8"),
        ("orig_lo", "<u8"),
        ("resp_hi", "<u8"),
        ("resp_lo", "<u8"),
        ("orig_port", "<u2"),
        ("resp_port", "<u2"),
        ("proto", "u1"),
        ("phase", "u1"),
        ("stragglers", "u1"),
        ("service", "u1"),  # told by content; 0 where it isn't
        ("tag", "<u4"),
        ("previous", "<i4"),  # the list by last packet: of flows, or of those that are over
        ("next", "<i4"),
        ("older", "<i4"),  # the list by first packet
        ("younger", "<i4"),
        ("look", "<i4"),  # bytes of the response still to be looked at
        ("touched", "<i8"),  # second of the last packet
        ("born", "<i8"),  # second of the first packet
        ("first", "<i8"),
        ("last", "<i8"),
        ("arrived", "<i8"),  # time of the packet before
        ("gap_squares", "<f8"),  # sum of squared seconds between packets
        ("syn_at", "<i8"),  # time of the only SYN of a handshake that goes on; -1 where none does
        ("rtt", "<i8"),
        ("history", "<u8"),
        ("history_more", "<u8"),
        ("tunnel_id", "<u4"),
        ("tunnel", "u1"),
        ("answering", "u1"),  # who sends the response that was last begun: 1 the originator, 2 the responder
        ("fresh", "u1"),  # nothing came after its head yet
    ],
    align=True,
)

SIDE = np.dtype(
    [
        ("bytes", "<u8"),
        ("ip_bytes", "<u8"),
        ("told_bytes", "<u8"),
        ("overlap", "<u8"),
        ("packets", "<u4"),
        ("told_packets", "<u4"),
        ("resent", "<u4"),
        ("following", "<u4"),  # the sequence number after the highest that was seen
        ("hole", "<u4"),  # the newest stretch of numbers that was passed over and hasn't been seen
        ("hole_end", "<u4"),
        ("entropy", "<f4"),
        ("letters", "<u2"),  # of the history that stand there for this side
        ("flags", "u1"),
        ("state", "u1"),
        ("numbered", "u1"),  # `following` is known
    ],
    align=True,
)
"""The originator's side of node n is at 2 n, the responder's behind it."""


class Table(NamedTuple):
    """The arrays of a table. Nodes `capacity` to `capacity + 2` are the heads of its lists."""

    nodes: Rows
    sides: Rows
    slots: Numbers
    rows: Rows
    """Room for rows to be told."""
    services: Bytes
    state: Numbers


# Places in the state of a table.
SEED: Final = 0
CAPACITY: Final = 1
IDLE: Final = 2
ACTIVE: Final = 3
USED: Final = 4  # nodes taken so far
FREE: Final = 5  # first of the nodes given back, or -1
ROWS: Final = 6  # rows written into the buffer
EVICTED: Final = 7
CLOCK: Final = 8  # second of the newest packet; with its number
NUMBER: Final = 9
STATE_SIZE: Final = 10
