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
packets' own. conn_state follows Zeek (base/protocols/conn). It does not reassemble streams or check sequence numbers.
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
    Numbers,
    Row,
)
from sensors.packets.jit import kernel
from sensors.values import ConnState, FlowEvent, Rows

UPDATE_EVERY: Final = 1000
LINGER: Final = 5
STRAGGLERS: Final = 8
SECOND: Final = 1_000_000_000
LOOK: Final = 1 << 16
"""Bytes after the head of an HTTP response that are looked at."""
HEAD_START: Final = 16
"""Bytes of a stream after which a program no longer counts as its beginning."""

START: Final = int(FlowEvent.START)
END: Final = int(FlowEvent.END)
UPDATE: Final = int(FlowEvent.UPDATE)

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
ACK: Final = 16

# What an endpoint of a TCP connection has done so far.
INACTIVE: Final = 0
SYN_SENT: Final = 1
SYN_ACK_SENT: Final = 2
PARTIAL: Final = 3  # joined in the middle
ESTABLISHED: Final = 4
CLOSED: Final = 5
RESET: Final = 6

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
        ("orig_state", "u1"),
        ("resp_state", "u1"),
        ("orig_flags", "u1"),
        ("resp_flags", "u1"),
        ("stragglers", "u1"),
        ("service", "u1"),  # told by content; 0 where it isn't
        ("look", "<i4"),  # bytes of the response still to be looked at
        ("answering", "u1"),  # who sends the response that was last begun: 1 the originator, 2 the responder
        ("fresh", "u1"),  # nothing came after its head yet
        ("tag", "<u4"),
        ("previous", "<i4"),  # the list by last packet: of flows, or of those that are over
        ("next", "<i4"),
        ("older", "<i4"),  # the list by first packet
        ("younger", "<i4"),
        ("touched", "<i8"),  # second of the last packet
        ("born", "<i8"),  # second of the first packet
        ("first", "<i8"),
        ("last", "<i8"),
        ("number", "<u8"),
        ("orig_packets", "<u4"),
        ("resp_packets", "<u4"),
        ("told_orig_packets", "<u4"),
        ("told_resp_packets", "<u4"),
        ("orig_bytes", "<u8"),
        ("resp_bytes", "<u8"),
        ("orig_ip_bytes", "<u8"),
        ("resp_ip_bytes", "<u8"),
        ("told_orig_bytes", "<u8"),
        ("told_resp_bytes", "<u8"),
    ],
    align=True,
)

# Places in the state of a table.
SEED: Final = 0
CAPACITY: Final = 1
IDLE: Final = 2
ACTIVE: Final = 3
USED: Final = 4  # nodes taken so far
FREE: Final = 5  # first of the nodes given back, or -1
ROWS: Final = 6  # rows written into the buffer
EVICTED: Final = 7
CLOCK: Final = 8  # second of the newest packet
NUMBER: Final = 9  # of the newest packet
STATE_SIZE: Final = 10

_OTH: Final = int(ConnState.OTH)
_S0: Final = int(ConnState.S0)
_S1: Final = int(ConnState.S1)
_SF: Final = int(ConnState.SF)
_REJ: Final = int(ConnState.REJ)
_S2: Final = int(ConnState.S2)
_S3: Final = int(ConnState.S3)
_RSTO: Final = int(ConnState.RSTO)
_RSTR: Final = int(ConnState.RSTR)
_RSTOS0: Final = int(ConnState.RSTOS0)
_RSTRH: Final = int(ConnState.RSTRH)
_SH: Final = int(ConnState.SH)
_SHR: Final = int(ConnState.SHR)

_ICMP: Final = 1
_TCP: Final = 6
_UDP: Final = 17
_ICMP6: Final = 58


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """Return a well-mixed hash of 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def _tag(packet: Row, seed: int) -> np.uint64:
    """Return 31 bits that are the same for both directions of a flow."""
    key = np.uint64(seed)
    source = _mix(packet["src_lo"] ^ _mix(packet["src_hi"] ^ key))
    target = _mix(packet["dst_lo"] ^ _mix(packet["dst_hi"] ^ key))
    low = np.uint64(min(packet["src_port"], packet["dst_port"]))
    high = np.uint64(max(packet["src_port"], packet["dst_port"]))
    rest = (np.uint64(packet["proto"]) << np.uint64(32)) | (high << np.uint64(16)) | low
    return _mix((source + target) ^ _mix(rest ^ key)) & np.uint64(0x7FFFFFFF)


@kernel
def _is_from_orig(node: Row, packet: Row) -> bool:
    """Tell whether the packet goes from the flow's originator to its responder."""
    reply = packet["hint"] & HINT_REPLY
    if packet["proto"] == _ICMP or packet["proto"] == _ICMP6:
        if node["orig_port"] != packet["src_port"] or node["resp_port"] != packet["dst_port"] or reply != 0:
            return False
    elif node["orig_port"] != packet["src_port"] or node["resp_port"] != packet["dst_port"]:
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
    if packet["proto"] == _ICMP or packet["proto"] == _ICMP6:
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


# The index: open addressing with linear probing; an entry is the node's number + 1 and, above it, its tag; 0 is empty.


@kernel
def _find(nodes: Rows, index: Numbers, packet: Row, tag: np.uint64) -> int:
    """Return the node of the packet's flow, or -1."""
    mask = index.size - 1
    slot = np.int64(tag) & mask
    while index[slot] != 0:
        entry = index[slot]
        if (entry >> 32) == np.int64(tag):
            found = (entry & 0xFFFFFFFF) - 1
            node = nodes[found]
            if node["proto"] == packet["proto"] and (_is_from_orig(node, packet) or _is_from_resp(node, packet)):
                return int(found)
        slot = (slot + 1) & mask
    return -1


@kernel
def _enter(index: Numbers, at: int, tag: np.uint64) -> None:
    mask = index.size - 1
    slot = np.int64(tag) & mask
    while index[slot] != 0:
        slot = (slot + 1) & mask
    index[slot] = (np.int64(tag) << 32) | (at + 1)


@kernel
def _leave(index: Numbers, at: int, tag: int) -> None:
    """Take a node out of the index and close the gap, so that no mark of deletion is needed."""
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


# Two kinds of doubly linked list whose heads are nodes behind the last one: by last packet (of flows; of those that
# are over) through `previous` and `next`, by first packet through `older` and `younger`.


@kernel
def _cut(nodes: Rows, at: int) -> None:
    before = nodes[at]["previous"]
    after = nodes[at]["next"]
    nodes[before]["next"] = after
    nodes[after]["previous"] = before


@kernel
def _append(nodes: Rows, head: int, at: int) -> None:
    last = nodes[head]["previous"]
    nodes[last]["next"] = at
    nodes[at]["previous"] = last
    nodes[at]["next"] = head
    nodes[head]["previous"] = at


@kernel
def _cut_by_age(nodes: Rows, at: int) -> None:
    before = nodes[at]["older"]
    after = nodes[at]["younger"]
    nodes[before]["younger"] = after
    nodes[after]["older"] = before


@kernel
def _append_by_age(nodes: Rows, head: int, at: int) -> None:
    last = nodes[head]["older"]
    nodes[last]["younger"] = at
    nodes[at]["older"] = last
    nodes[at]["younger"] = head
    nodes[head]["older"] = at


@kernel
def _release(nodes: Rows, index: Numbers, state: Numbers, at: int) -> None:
    """Forget a node; a live one must have told its END before."""
    node = nodes[at]
    _leave(index, at, int(np.int64(node["tag"])))
    _cut(nodes, at)
    if node["phase"] == LIVE:
        _cut_by_age(nodes, at)
    node["next"] = state[FREE]
    state[FREE] = at


@kernel
def _conn_state(node: Row) -> int:
    """Return Zeek's conn_state of a flow that ends now."""
    orig, resp = node["orig_state"], node["resp_state"]
    if node["proto"] == _UDP:
        return _SF if node["resp_packets"] > 0 else _S0
    if node["proto"] != _TCP:
        return _OTH
    orig_joined = orig in (INACTIVE, PARTIAL)
    resp_joined = resp in (INACTIVE, PARTIAL)
    if resp == RESET:
        if orig in (SYN_SENT, SYN_ACK_SENT):
            return _REJ
        return _RSTRH if orig_joined else _RSTR
    if orig == RESET:
        return _RSTOS0 if resp_joined else _RSTO
    if orig == CLOSED:
        if resp == CLOSED:
            return _SF
        return _SH if resp_joined else _S2
    if resp == CLOSED:
        return _SHR if orig_joined else _S3
    if orig == SYN_SENT and resp == INACTIVE:
        return _S0
    return _S1 if orig == ESTABLISHED and resp == ESTABLISHED else _OTH


@kernel
def _tell(node: Row, rows: Rows, state: Numbers, services: Bytes, ts: int, event: int) -> None:
    """Write a row about the flow; what is new counts from here on."""
    row = rows[state[ROWS]]
    state[ROWS] += 1
    row["ts"] = ts
    row["seq"] = state[NUMBER]
    row["source"] = 0
    row["event"] = event
    row["orig_hi"] = node["orig_hi"]
    row["orig_lo"] = node["orig_lo"]
    row["resp_hi"] = node["resp_hi"]
    row["resp_lo"] = node["resp_lo"]
    row["orig_port"] = node["orig_port"]
    row["resp_port"] = node["resp_port"]
    row["proto"] = node["proto"]
    row["state"] = _conn_state(node) if event & END else _OTH
    row["service"] = _service(node, services)
    row["orig_flags"] = node["orig_flags"]
    row["resp_flags"] = node["resp_flags"]
    row["first"] = node["first"]
    row["last"] = node["last"]
    row["orig_packets"] = node["orig_packets"]
    row["resp_packets"] = node["resp_packets"]
    row["orig_bytes"] = node["orig_bytes"]
    row["resp_bytes"] = node["resp_bytes"]
    row["orig_ip_bytes"] = node["orig_ip_bytes"]
    row["resp_ip_bytes"] = node["resp_ip_bytes"]
    row["new_orig_packets"] = node["orig_packets"] - node["told_orig_packets"]
    row["new_resp_packets"] = node["resp_packets"] - node["told_resp_packets"]
    row["new_orig_bytes"] = node["orig_bytes"] - node["told_orig_bytes"]
    row["new_resp_bytes"] = node["resp_bytes"] - node["told_resp_bytes"]
    node["told_orig_packets"] = node["orig_packets"]
    node["told_resp_packets"] = node["resp_packets"]
    node["told_orig_bytes"] = node["orig_bytes"]
    node["told_resp_bytes"] = node["resp_bytes"]


@kernel
def _service(node: Row, services: Bytes) -> int:
    """Return the service told by content, else by the responder's port, else by the originator's.

    The originator's counts only where the responder's is not registered.
    """
    if node["service"] != 0:
        return int(node["service"])
    if node["proto"] != _TCP and node["proto"] != _UDP:
        return 0
    side = 0 if node["proto"] == _TCP else 1
    service = services[side, node["resp_port"]]
    if service == 0 and node["resp_port"] >= 1024:
        service = services[side, node["orig_port"]]
    return int(service)


@kernel
def _expire(nodes: Rows, index: Numbers, rows: Rows, services: Bytes, state: Numbers, second: int) -> bool:
    """End what is due up to a second; return False when the buffer of rows is full, to be called again."""
    flows, over, births = state[CAPACITY], state[CAPACITY] + 1, state[CAPACITY] + 2
    while True:
        idle = nodes[flows]["next"]
        old = nodes[births]["younger"]
        gone = nodes[over]["next"]
        idle_due = nodes[idle]["touched"] + 1 + state[IDLE] if idle != flows else second + 1
        old_due = nodes[old]["born"] + 1 + state[ACTIVE] if old != births else second + 1
        gone_due = nodes[gone]["touched"] + 1 + LINGER if gone != over else second + 1
        due = min(idle_due, min(old_due, gone_due))
        if due > second:
            return True
        if gone_due == due:
            _release(nodes, index, state, gone)
            continue
        if state[ROWS] == rows.size:
            return False
        is_idle = idle_due == due
        at = idle if is_idle else old
        if nodes[at]["phase"] == LIVE:
            _tell(nodes[at], rows, state, services, due * SECOND, END)
        if is_idle:
            _release(nodes, index, state, at)
        else:
            _cut_by_age(nodes, at)
            nodes[at]["phase"] = DORMANT


@kernel
def _take(nodes: Rows, index: Numbers, rows: Rows, services: Bytes, state: Numbers, ts: int) -> int:
    """Return a free node; where there is none, evict the least recent one, first of those that are over."""
    if state[FREE] >= 0:
        at = state[FREE]
        state[FREE] = nodes[at]["next"]
        return int(at)
    if state[USED] < state[CAPACITY]:
        state[USED] += 1
        return int(state[USED] - 1)
    at = nodes[state[CAPACITY] + 1]["next"]
    if at == state[CAPACITY] + 1:
        at = nodes[state[CAPACITY]]["next"]
        state[EVICTED] += 1
        if nodes[at]["phase"] == LIVE:
            _tell(nodes[at], rows, state, services, ts, END)
    _release(nodes, index, state, at)
    state[FREE] = nodes[at]["next"]
    return int(at)


@kernel
def _begin(nodes: Rows, at: int, packet: Row, tag: np.uint64) -> None:
    """Make a node the flow that the packet begins."""
    node = nodes[at]
    flags = packet["flags"]
    turned = packet["hint"] & HINT_REPLY != 0 or (packet["proto"] == _TCP and flags & (SYN | ACK) == SYN | ACK)
    if turned:
        node["orig_hi"], node["orig_lo"] = packet["dst_hi"], packet["dst_lo"]
        node["resp_hi"], node["resp_lo"] = packet["src_hi"], packet["src_lo"]
    else:
        node["orig_hi"], node["orig_lo"] = packet["src_hi"], packet["src_lo"]
        node["resp_hi"], node["resp_lo"] = packet["dst_hi"], packet["dst_lo"]
    swapped = turned and packet["proto"] == _TCP
    node["orig_port"] = packet["dst_port"] if swapped else packet["src_port"]
    node["resp_port"] = packet["src_port"] if swapped else packet["dst_port"]
    node["proto"] = packet["proto"]
    node["tag"] = tag
    node["orig_state"] = INACTIVE
    node["resp_state"] = INACTIVE
    node["service"] = 0
    node["look"] = 0
    node["answering"] = 0
    node["fresh"] = 0


@kernel
def _clear(nodes: Rows, state: Numbers, at: int, packet: Row, second: int) -> None:
    """Set the counts of a flow that begins, or begins anew, to nothing, and list it."""
    node = nodes[at]
    node["phase"] = LIVE
    node["stragglers"] = 0
    node["orig_flags"] = 0
    node["resp_flags"] = 0
    node["first"] = packet["ts"]
    node["last"] = packet["ts"]
    node["born"] = second
    node["orig_packets"] = 0
    node["resp_packets"] = 0
    node["orig_bytes"] = 0
    node["resp_bytes"] = 0
    node["orig_ip_bytes"] = 0
    node["resp_ip_bytes"] = 0
    node["told_orig_packets"] = 0
    node["told_resp_packets"] = 0
    node["told_orig_bytes"] = 0
    node["told_resp_bytes"] = 0
    _append_by_age(nodes, state[CAPACITY] + 2, at)


@kernel
def _stepped(mine: int, peer: int, flags: int) -> int:
    """Return the state of an endpoint after it sent a segment with these flags."""
    if flags & RST:
        return RESET
    if flags & FIN:
        return CLOSED
    if flags & SYN:
        if mine != INACTIVE:
            return mine
        if flags & ACK:
            return ESTABLISHED if peer == SYN_SENT else SYN_ACK_SENT
        return SYN_SENT
    if mine == INACTIVE:
        return PARTIAL
    return ESTABLISHED if mine in (SYN_SENT, SYN_ACK_SENT) else mine


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
def _add(node: Row, packet: Row) -> bool:
    """Count a packet in its flow; return True where it ends the TCP connection."""
    from_orig = _is_from_orig(node, packet)
    if packet["payload_bytes"] > 0 and packet["proto"] == _TCP:
        _listen(node, packet, from_orig, int(np.int64(node["orig_bytes"] if from_orig else node["resp_bytes"])))
    node["first"] = min(node["first"], packet["ts"])
    node["last"] = max(node["last"], packet["ts"])
    if from_orig:
        node["orig_packets"] += 1
        node["orig_bytes"] += packet["payload_bytes"]
        node["orig_ip_bytes"] += packet["ip_bytes"]
        node["orig_flags"] |= packet["flags"]
    else:
        node["resp_packets"] += 1
        node["resp_bytes"] += packet["payload_bytes"]
        node["resp_ip_bytes"] += packet["ip_bytes"]
        node["resp_flags"] |= packet["flags"]
    flags = int(np.int64(packet["flags"]))
    if packet["proto"] != _TCP or (flags == 0 and packet["payload"] == 0):  # not TCP, or a later fragment of it
        return False
    orig, resp = int(np.int64(node["orig_state"])), int(np.int64(node["resp_state"]))
    both = orig == CLOSED and resp == CLOSED
    if from_orig:
        node["orig_state"] = _stepped(orig, resp, flags)
    else:
        node["resp_state"] = _stepped(resp, orig, flags)
        if orig == SYN_SENT and flags & (SYN | ACK) == SYN | ACK:
            node["orig_state"] = ESTABLISHED
    if flags & RST:
        return True
    return bool(both and flags & FIN == 0 and packet["payload_bytes"] == 0)


@kernel
def _belongs(node: Row, packet: Row) -> bool:
    """Tell whether a packet of a known 5-tuple belongs to the flow that is kept there."""
    opens = packet["flags"] & (SYN | ACK) == SYN and packet["proto"] == _TCP
    if node["phase"] == OVER:
        bare = packet["payload_bytes"] == 0 or packet["flags"] & RST != 0
        return bool(bare and not opens and node["stragglers"] < STRAGGLERS)
    return not (opens and node["orig_state"] == CLOSED and node["resp_state"] == CLOSED)


@kernel
def _observe(nodes: Rows, index: Numbers, rows: Rows, services: Bytes, state: Numbers, packet: Row) -> None:
    """Give a packet to its flow and tell what is to be told: at most four rows."""
    second = packet["at"] // SECOND
    ts = packet["at"]
    tag = _tag(packet, state[SEED])
    at = _find(nodes, index, packet, tag)
    if at >= 0 and not _belongs(nodes[at], packet):
        if nodes[at]["phase"] == LIVE:
            _tell(nodes[at], rows, state, services, ts, END)
        _release(nodes, index, state, at)
        at = -1
    if at < 0:
        at = _take(nodes, index, rows, services, state, ts)
        _begin(nodes, at, packet, tag)
        _enter(index, at, tag)
        _clear(nodes, state, at, packet, second)
        nodes[at]["touched"] = second
        _append(nodes, state[CAPACITY], at)
    elif nodes[at]["phase"] == OVER:
        nodes[at]["stragglers"] += 1
        return
    else:
        if nodes[at]["phase"] == DORMANT:
            _clear(nodes, state, at, packet, second)
        if nodes[at]["touched"] != second:
            nodes[at]["touched"] = second
            _cut(nodes, at)
            _append(nodes, state[CAPACITY], at)
    node = nodes[at]
    over = _add(node, packet)
    packets = np.int64(node["orig_packets"]) + np.int64(node["resp_packets"])
    event = START if packets == 1 else 0
    if event:
        _tell(node, rows, state, services, ts, START)
    elif not over and packets % UPDATE_EVERY == 0:
        _tell(node, rows, state, services, ts, UPDATE)
    if over:
        _tell(node, rows, state, services, ts, END)
        _cut(nodes, at)
        _cut_by_age(nodes, at)
        node["phase"] = OVER
        _append(nodes, state[CAPACITY] + 1, at)


@kernel
def follow(
    nodes: Rows,
    index: Numbers,
    rows: Rows,
    services: Bytes,
    state: Numbers,
    packets: Rows,
    begin: int,
    end: int,
) -> int:
    """Take in packets[begin:end]; return where it stopped, before `end` only if the buffer of rows is full."""
    for i in range(begin, end):
        packet = packets[i]
        second = packet["at"] // SECOND
        state[NUMBER] = packet["number"]
        if second > state[CLOCK]:
            if not _expire(nodes, index, rows, services, state, second):
                return i
            state[CLOCK] = second
        if packet["status"] == PARSED:
            if state[ROWS] + 4 > rows.size:
                return i
            _observe(nodes, index, rows, services, state, packet)
    return end


@kernel
def pass_time(nodes: Rows, index: Numbers, rows: Rows, services: Bytes, state: Numbers, second: int) -> bool:
    """End what is due up to a second of event time; return False if the buffer of rows is full."""
    if second > state[CLOCK]:
        if not _expire(nodes, index, rows, services, state, second):
            return False
        state[CLOCK] = second
    return True


@kernel
def finish(nodes: Rows, index: Numbers, rows: Rows, services: Bytes, state: Numbers, ts: int) -> bool:
    """End every flow at event time `ts`; return False if the buffer of rows is full."""
    head = state[CAPACITY]
    while nodes[head]["next"] != head:
        if state[ROWS] == rows.size:
            return False
        at = nodes[head]["next"]
        if nodes[at]["phase"] == LIVE:
            _tell(nodes[at], rows, state, services, ts, END)
        _release(nodes, index, state, at)
    return True
