"""Give later fragments the ports of their first one.

Guarantees: a table of `FRAGMENTS` entries, where the newer replaces the older; an entry serves for `FRAGMENT_LIFE` ns
of event time. What came before its first fragment, or after it was replaced, keeps the ports 0.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import HINT_REPLY, Row
from sensors.packets.jit import kernel
from sensors.values import Rows

FRAGMENTS: Final = 4096
FRAGMENT_LIFE: Final = 30 * 1_000_000_000

FRAGMENT = np.dtype(
    [
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("at", "<i8"),
        ("ident", "<u4"),
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
        ("proto", "u1"),
        ("hint", "u1"),
        ("used", "u1"),
    ],
    align=True,
)


@kernel
def _slot(packet: Row) -> int:
    mixed = (packet["src_lo"] * np.uint64(31) + packet["dst_lo"]) * np.uint64(31) + np.uint64(packet["ident"])
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return int(np.int64(mixed >> np.uint64(52)))


@kernel
def remember(packet: Row, fragments: Rows) -> None:
    """Keep the ports of a first fragment."""
    entry = fragments[_slot(packet)]
    entry["src_hi"] = packet["src_hi"]
    entry["src_lo"] = packet["src_lo"]
    entry["dst_hi"] = packet["dst_hi"]
    entry["dst_lo"] = packet["dst_lo"]
    entry["at"] = packet["at"]
    entry["ident"] = packet["ident"]
    entry["src_port"] = packet["src_port"]
    entry["dst_port"] = packet["dst_port"]
    entry["proto"] = packet["proto"]
    entry["hint"] = packet["hint"] & HINT_REPLY
    entry["used"] = 1


@kernel
def recall(packet: Row, fragments: Rows) -> None:
    """Give a later fragment the ports of its first one; they stay 0 where that isn't known."""
    entry = fragments[_slot(packet)]
    if (
        entry["used"] == 1
        and entry["ident"] == packet["ident"]
        and entry["proto"] == packet["proto"]
        and entry["src_lo"] == packet["src_lo"]
        and entry["dst_lo"] == packet["dst_lo"]
        and entry["src_hi"] == packet["src_hi"]
        and entry["dst_hi"] == packet["dst_hi"]
        and packet["at"] - entry["at"] <= FRAGMENT_LIFE
    ):
        packet["src_port"] = entry["src_port"]
        packet["dst_port"] = entry["dst_port"]
        packet["hint"] = entry["hint"]
