"""Keep the table of flows and tell of each flow when it begins, while it floods and when it ends.

A flow has the sender of its first packet as originator (a SYN-ACK that comes first makes its receiver the originator;
an ICMP reply belongs to the asker). Its rows: START with the first packet; UPDATE at every `UPDATE_EVERY` packets; END
when TCP is over (RST; the first packet without FIN after both sides sent one), after `idle` seconds without a packet,
after `active` seconds (it then begins anew with its next packet, the same side being originator), when it is evicted
from a full table, and at the end of the input. Packets without payload and SYN that come within `LINGER` s of a TCP end
belong to it and give no row, at most `STRAGGLERS` of them; anything else begins a new flow.

Guarantees: time-outs happen on a grid of whole seconds of event time, so rows depend on the packets alone, not on how
they were cut into calls, nor on the seed of the hash; rows come out in (ts, seq) order; memory is fixed by `capacity`;
a packet costs O(1) amortised. Times inside the table never go back (`at` of the packets); `first` and `last` are the
packets' own. It does not reassemble streams.
"""

from typing import Final

import numpy as np

from sensors.packets.columns import (
    HINT_BINARY,
    HINT_BODY,
    HINT_FIRST,
    HINT_REPLY,
    HINT_RESPONSE,
    HINT_TEXT,
    PARSED,
    Bytes,
    Row,
)
from sensors.packets.flow import history
from sensors.packets.flow.ends import expire, release, take
from sensors.packets.flow.history import did, write
from sensors.packets.flow.index import enter, find, is_from_orig, tag_of_packet
from sensors.packets.flow.lists import append, append_by_age, cut, cut_by_age
from sensors.packets.flow.measures import entropy, time_gap
from sensors.packets.flow.nodes import (
    ACK,
    CAPACITY,
    CLOCK,
    DORMANT,
    LIVE,
    NUMBER,
    OVER,
    ROWS,
    RST,
    SECOND,
    SEED,
    SYN,
    TCP,
    UDP,
    Table,
)
from sensors.packets.flow.rows import END, START, UPDATE, tell
from sensors.packets.flow.tcp import CLOSED, INACTIVE, take_segment
from sensors.packets.jit import kernel
from sensors.values import Rows

UPDATE_EVERY: Final = 1000
STRAGGLERS: Final = 8
LOOK: Final = 1 << 16
"""Bytes after the head of an HTTP response that are looked at."""
HEAD_START: Final = 16
"""Bytes of a stream after which a program no longer counts as its beginning."""

_D: Final = history.D
_FLIPPED: Final = history.FLIPPED


@kernel
def _begin(table: Table, at: int, packet: Row, tag: np.uint64) -> None:
    """Make a node the flow that the packet begins."""
    node = table.nodes[at]
    flags = packet["flags"]
    turned = packet["hint"] & HINT_REPLY != 0 or (packet["proto"] == TCP and flags & (SYN | ACK) == SYN | ACK)
    if turned:
        node["orig_hi"], node["orig_lo"] = packet["dst_hi"], packet["dst_lo"]
        node["resp_hi"], node["resp_lo"] = packet["src_hi"], packet["src_lo"]
    else:
        node["orig_hi"], node["orig_lo"] = packet["src_hi"], packet["src_lo"]
        node["resp_hi"], node["resp_lo"] = packet["dst_hi"], packet["dst_lo"]
    swapped = turned and packet["proto"] == TCP
    node["orig_port"] = packet["dst_port"] if swapped else packet["src_port"]
    node["resp_port"] = packet["src_port"] if swapped else packet["dst_port"]
    node["proto"] = packet["proto"]
    node["tag"] = tag
    node["service"] = 0
    node["look"] = 0
    node["answering"] = 0
    node["fresh"] = 0
    node["tunnel"] = packet["tunnel"]
    node["tunnel_id"] = packet["tunnel_id"]
    for place in (2 * at, 2 * at + 1):
        side = table.sides[place]
        side["state"] = INACTIVE
        side["numbered"] = 0
        side["hole"] = 0
        side["hole_end"] = 0
    _clear(table, at, packet)
    if swapped:
        write(node, _FLIPPED)


@kernel
def _clear(table: Table, at: int, packet: Row) -> None:
    """Set what is counted of a flow that begins, or begins anew, to nothing, and list it by age."""
    node = table.nodes[at]
    node["phase"] = LIVE
    node["stragglers"] = 0
    node["first"] = packet["ts"]
    node["last"] = packet["ts"]
    node["arrived"] = packet["ts"]
    node["born"] = packet["at"] // SECOND
    node["gap_squares"] = 0.0
    node["syn_at"] = 0
    node["rtt"] = 0
    node["history"] = 0
    node["history_more"] = 0
    for place in (2 * at, 2 * at + 1):
        side = table.sides[place]
        side["bytes"] = 0
        side["ip_bytes"] = 0
        side["told_bytes"] = 0
        side["overlap"] = 0
        side["packets"] = 0
        side["told_packets"] = 0
        side["resent"] = 0
        side["entropy"] = 0.0
        side["letters"] = 0
        side["flags"] = 0
    append_by_age(table.nodes, table.state[CAPACITY] + 2, at)


@kernel
def _listen(node: Row, packet: Row, from_orig: bool, before: int) -> None:
    """Take the service from the first payload of a direction, and mark what is to be looked at.

    `before` are the bytes that this side has sent in this flow so far.
    """
    side = 1 if from_orig else 2
    if before == 0 and node["service"] == 0:
        node["service"] = packet["sign"]
    if packet["hint"] & HINT_RESPONSE:
        node["answering"] = side
        node["fresh"] = 1
        node["look"] = LOOK if packet["hint"] & HINT_TEXT else 0
    elif node["answering"] == side:
        if node["fresh"]:
            packet["hint"] |= HINT_FIRST
            node["fresh"] = 0
        if node["look"] > 0:
            packet["hint"] |= HINT_BODY
            node["look"] -= min(np.int64(packet["payload_bytes"]), np.int64(node["look"]))
    if packet["hint"] & HINT_BINARY and (before >= HEAD_START or node["service"] != 0):
        packet["hint"] ^= HINT_BINARY


@kernel
def _add(data: Bytes, table: Table, at: int, packet: Row) -> bool:
    """Count a packet in its flow; return True where it ends the TCP connection."""
    node, orig, resp = table.nodes[at], table.sides[2 * at], table.sides[2 * at + 1]
    from_orig = is_from_orig(node, packet)
    side = orig if from_orig else resp
    if packet["payload_bytes"] > 0:
        if side["bytes"] == 0:
            side["entropy"] = entropy(data, packet)
        if packet["proto"] == TCP:
            _listen(node, packet, from_orig, int(np.int64(side["bytes"])))
        elif packet["proto"] == UDP:
            did(node, side, _D, 0 if from_orig else 1)
    node["first"] = min(node["first"], packet["ts"])
    node["last"] = max(node["last"], packet["ts"])
    time_gap(node, packet["ts"])
    side["packets"] += 1
    side["bytes"] += packet["payload_bytes"]
    side["ip_bytes"] += packet["ip_bytes"]
    side["flags"] |= packet["flags"]
    if packet["proto"] != TCP or packet["payload"] == 0:  # not TCP, or a later fragment of it
        return False
    return take_segment(node, orig, resp, packet, from_orig)


@kernel
def _belongs(node: Row, orig: Row, resp: Row, packet: Row) -> bool:
    """Tell whether a packet of a known 5-tuple belongs to the flow that is kept there."""
    opens = packet["flags"] & (SYN | ACK) == SYN and packet["proto"] == TCP
    if node["phase"] == OVER:
        bare = packet["payload_bytes"] == 0 or packet["flags"] & RST != 0
        return bool(bare and not opens and node["stragglers"] < STRAGGLERS)
    return not (opens and orig["state"] == CLOSED and resp["state"] == CLOSED)


@kernel
def _flow_of(table: Table, packet: Row) -> int:
    """Return the node that the packet is to be counted in, a new one where need be; -1 for a straggler."""
    nodes, state = table.nodes, table.state
    second = packet["at"] // SECOND
    tag = tag_of_packet(packet, state[SEED])
    at = find(nodes, table.slots, packet, tag)
    if at >= 0 and not _belongs(nodes[at], table.sides[2 * at], table.sides[2 * at + 1], packet):
        if nodes[at]["phase"] == LIVE:
            tell(table, at, packet["at"], END)
        release(table, at)
        at = -1
    if at < 0:
        at = take(table, packet["at"])
        _begin(table, at, packet, tag)
        enter(table.slots, at, tag)
        nodes[at]["touched"] = second
        append(nodes, state[CAPACITY], at)
        return at
    if nodes[at]["phase"] == OVER:
        nodes[at]["stragglers"] += 1
        return -1
    if nodes[at]["phase"] == DORMANT:
        _clear(table, at, packet)
    if nodes[at]["touched"] != second:
        nodes[at]["touched"] = second
        cut(nodes, at)
        append(nodes, state[CAPACITY], at)
    return at


@kernel
def _observe(data: Bytes, table: Table, packet: Row) -> None:
    """Give a packet to its flow and tell what is to be told: at most four rows."""
    at = _flow_of(table, packet)
    if at < 0:
        return
    over = _add(data, table, at, packet)
    packets = np.int64(table.sides[2 * at]["packets"]) + np.int64(table.sides[2 * at + 1]["packets"])
    if packets == 1:
        tell(table, at, packet["at"], START)
    elif not over and packets % UPDATE_EVERY == 0:
        tell(table, at, packet["at"], UPDATE)
    if over:
        tell(table, at, packet["at"], END)
        cut(table.nodes, at)
        cut_by_age(table.nodes, at)
        table.nodes[at]["phase"] = OVER
        append(table.nodes, table.state[CAPACITY] + 1, at)


@kernel
def follow(data: Bytes, table: Table, packets: Rows, begin: int, end: int) -> int:
    """Take in packets[begin:end]; return where it stopped, before `end` only if the buffer of rows is full."""
    state = table.state
    for i in range(begin, end):
        packet = packets[i]
        second = packet["at"] // SECOND
        state[NUMBER] = packet["number"]
        if second > state[CLOCK]:
            if not expire(table, second):
                return i
            state[CLOCK] = second
        if packet["status"] == PARSED:
            if state[ROWS] + 4 > table.rows.size:
                return i
            _observe(data, table, packet)
    return end
