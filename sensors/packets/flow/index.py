"""Find a flow by its addresses, ports and protocol, in either direction.

Open addressing with linear probing; an entry is the node's number + 1 and, above it, its tag; 0 is empty. The seed in
the tag keeps strangers from choosing flows that collide.
"""

import numpy as np

from sensors.packets.columns import HINT_REPLY, Numbers, Row
from sensors.packets.flow.nodes import ICMP, ICMP6
from sensors.packets.jit import kernel
from sensors.values import Rows


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """Return a well-mixed hash of 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def _tag(
    hi: np.uint64, lo: np.uint64, to_hi: np.uint64, to_lo: np.uint64, port: int, to_port: int, proto: int, seed: int
) -> np.uint64:
    """Return 31 bits that are the same for both directions of a flow."""
    key = np.uint64(seed)
    source = _mix(lo ^ _mix(hi ^ key))
    target = _mix(to_lo ^ _mix(to_hi ^ key))
    low = np.uint64(min(port, to_port))
    high = np.uint64(max(port, to_port))
    rest = (np.uint64(proto) << np.uint64(32)) | (high << np.uint64(16)) | low
    return _mix((source + target) ^ _mix(rest ^ key)) & np.uint64(0x7FFFFFFF)


@kernel
def tag_of_packet(packet: Row, seed: int) -> np.uint64:
    """Return the tag of the flow that a packet belongs to."""
    return _tag(
        packet["src_hi"], packet["src_lo"], packet["dst_hi"], packet["dst_lo"],
        int(packet["src_port"]), int(packet["dst_port"]), int(packet["proto"]), seed,
    )  # fmt: skip


@kernel
def tag_of_node(node: Row, seed: int) -> np.uint64:
    """Return the tag of a flow."""
    return _tag(
        node["orig_hi"], node["orig_lo"], node["resp_hi"], node["resp_lo"],
        int(node["orig_port"]), int(node["resp_port"]), int(node["proto"]), seed,
    )  # fmt: skip


@kernel
def is_from_orig(node: Row, packet: Row) -> bool:
    """Tell whether the packet goes from the flow's originator to its responder."""
    if node["orig_port"] != packet["src_port"] or node["resp_port"] != packet["dst_port"]:
        return False
    if (packet["proto"] == ICMP or packet["proto"] == ICMP6) and packet["hint"] & HINT_REPLY != 0:
        return False
    return bool(
        node["orig_lo"] == packet["src_lo"]
        and node["resp_lo"] == packet["dst_lo"]
        and node["orig_hi"] == packet["src_hi"]
        and node["resp_hi"] == packet["dst_hi"]
    )


@kernel
def _is_from_resp(node: Row, packet: Row) -> bool:
    """Tell whether the packet goes from the flow's responder to its originator."""
    if packet["proto"] == ICMP or packet["proto"] == ICMP6:
        same = node["orig_port"] == packet["src_port"] and node["resp_port"] == packet["dst_port"]
        if not same or packet["hint"] & HINT_REPLY == 0:
            return False
    elif node["orig_port"] != packet["dst_port"] or node["resp_port"] != packet["src_port"]:
        return False
    return bool(
        node["orig_lo"] == packet["dst_lo"]
        and node["resp_lo"] == packet["src_lo"]
        and node["orig_hi"] == packet["dst_hi"]
        and node["resp_hi"] == packet["src_hi"]
    )


@kernel
def find(nodes: Rows, index: Numbers, packet: Row, tag: np.uint64) -> int:
    """Return the node of the packet's flow, or -1."""
    mask = index.size - 1
    slot = np.int64(tag) & mask
    while index[slot] != 0:
        entry = index[slot]
        if (entry >> 32) == np.int64(tag):
            found = (entry & 0xFFFFFFFF) - 1
            node = nodes[found]
            if node["proto"] == packet["proto"] and (is_from_orig(node, packet) or _is_from_resp(node, packet)):
                return int(found)
        slot = (slot + 1) & mask
    return -1


@kernel
def enter(index: Numbers, at: int, tag: np.uint64) -> None:
    """Enter a node that isn't there."""
    mask = index.size - 1
    slot = np.int64(tag) & mask
    while index[slot] != 0:
        slot = (slot + 1) & mask
    index[slot] = (np.int64(tag) << 32) | (at + 1)


@kernel
def leave(index: Numbers, at: int, tag: int) -> None:
    """Take a node out and close the gap, so that no mark of deletion is needed."""
    mask = index.size - 1
    slot = tag & mask
    while (index[slot] & 0xFFFFFFFF) != at + 1:
        slot = (slot + 1) & mask
    hole = slot
    while True:
        slot = (slot + 1) & mask
        entry = index[slot]
        if entry == 0:
            break
        home = (entry >> 32) & mask
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            index[hole] = entry
            hole = slot
    index[hole] = 0
