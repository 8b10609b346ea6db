"""Compiled kernels of the flow windows: tables of fixed size, and the walk over flow rows that keeps them.

Guarantees: memory is fixed at the start; the result depends on the rows and their order alone, not on how they are cut
into arrays; a full neighbourhood of a table overwrites a slot and counts that: the least recently seen one of the same
source where that source holds a quarter of the neighbourhood, else the least recently seen one of all, so that who
floods a table forgets mostly its own. Everything stands in one file because numba's cache looks only at the file of
the function itself.

Counters decay exponentially with the time constants of `HORIZONS`, so a counter reads as "how many in about that time"
(docs/adr/0030). Distinct things (ports, peers) are counted where the table of pairs or channels has not seen them
within the longest horizon, and beside that by sketches (HyperLogLog: Flajolet et al. 2007, 32 registers, standard
error 18 %) that start anew every ten minutes; what is read is the larger of this and the last span. Rows that come
late decay nothing and move no stamp backwards.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

PROBES = 16
HORIZONS = (10.0, 60.0, 600.0)
SLOW_S = 14400.0
LONGEST_NS = 600_000_000_000
SPAN_NS = 600_000_000_000
"""A sketch covers one such span of event time."""
REGISTERS = 32
OWN = 4
"""Slots of one neighbourhood from which on a source replaces its own."""
SECOND = 1_000_000_000

# Cells of each table.
S_STARTS, S_FAILED, S_ENDED, S_PORTS, S_PEERS, S_OUT, S_IN, S_SLOW, S_SKETCH, S_WIDTH = (
    0,
    3,
    6,
    9,
    12,
    15,
    16,
    17,
    18,
    23,
)
D_STARTS_10, D_STARTS_60, D_SOURCES_60, D_FAILURES_60, D_BEGUN, D_SKETCH, D_WIDTH = 0, 1, 2, 3, 4, 5, 8
(P_PORTS_60, P_PORTS_600, P_FAILED, P_DONE, P_STARTS_10, P_PACKETS_10, P_ANSWERS_10, P_EMPTY_10, P_BEGUN,
 P_WIDTH) = range(10)  # fmt: skip
W_PEERS_60, W_PEERS_600, W_FAILED, W_DONE, W_BEGUN, W_WIDTH = range(6)
(C_COUNT, C_STARTS_10, C_FAILED_60, C_SHORT_60, C_SHORT_600, C_GAPS, C_GAP, C_GAP_VAR, C_SIZES, C_SIZE, C_SIZE_VAR,
 C_WIDTH) = range(12)  # fmt: skip

# Columns of the feature matrix, in the order of `risk.windows.features.FEATURES`.
(F_SRC_STARTS, F_SRC_FAILED, F_SRC_PORTS, F_SRC_PEERS) = (0, 3, 6, 9)
(F_DST_STARTS_10, F_DST_STARTS_60, F_DST_SOURCES, F_DST_FAILURES, F_CH_COUNT, F_CH_STARTS, F_CH_FAILURES, F_CH_GAPS,
 F_CH_GAP, F_CH_GAP_CV, F_CH_SIZE_CV, F_CH_SHORT_60, F_CH_SHORT_600, F_SRC_OUT, F_SRC_OUT_SHARE, F_NEW_PAIR,
 F_NEW_PORT, F_NEW_DST, F_RARITY, F_DURATION, F_FAILED, F_MEAN_OUT, F_BYTES_RATIO, F_PAIR_PORTS_60, F_PAIR_PORTS_600,
 F_PAIR_FAILED, F_PAIR_DONE, F_PAIR_STARTS, F_PAIR_PACKETS, F_PAIR_ANSWERS, F_PAIR_EMPTY, F_SWEEP_60, F_SWEEP_600,
 F_SWEEP_FAILED, F_SWEEP_DONE, F_SRC_SLOW, F_DISTINCT_PEERS, F_DISTINCT_PORTS, F_DISTINCT_SOURCES,
 F_COUNT) = range(12, 52)  # fmt: skip

START, END = 1, 2
FIN, SYN, RST, ACK = 1, 2, 4, 16
OTH, S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR = range(13)
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
V4 = np.uint64(0xFFFF)
ONE = np.uint64(1)
MIX_A, MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
R27, R30, R31, R32, R28, R56 = (np.uint64(n) for n in (27, 30, 31, 32, 28, 56))
LOW32 = np.uint64(0xFFFFFFFF)
LOW8 = np.uint64(0xFF)
LOW5 = np.uint64(31)
R5 = np.uint64(5)
LATEST = np.int64(2**63 - 1)


class Table(NamedTuple):
    """An open-addressing table: 128-bit keys, when each was last seen, one time mark, and its counters."""

    keys: NDArray[np.uint64]
    """(slots, 2)"""
    stamps: NDArray[np.int64]
    """Event time last seen, ns, plus one; 0 is an empty slot."""
    marks: NDArray[np.int64]
    """Pairs, ports of sources, channels: when last begun."""
    cells: NDArray[np.float32]
    """(slots, width)"""
    sketch: NDArray[np.uint8]
    """(slots, registers of its sketches)"""
    tally: NDArray[np.int64]
    """[keys ever placed, keys overwritten, of those: own ones of a source that floods the table]"""


def make_table(slots: int, width: int, sketches: int = 0) -> Table:
    """Return an empty table of fewer than 2^31 slots. The pages are touched only as they fill."""
    return Table(
        np.zeros((slots, 2), np.uint64),
        np.zeros(slots, np.int64),
        np.zeros(slots, np.int64),
        np.zeros((slots, width), np.float32),
        np.zeros((slots, sketches * REGISTERS), np.uint8),
        np.zeros(3, np.int64),
    )


@njit(cache=True)
def mix(value: Any) -> Any:
    """Mix 64 bits (the finaliser of SplitMix64: Steele, Lea, Flood 2014). Any: numba gives the types."""
    value = (value ^ (value >> R30)) * MIX_A
    value = (value ^ (value >> R27)) * MIX_B
    return value ^ (value >> R31)


@njit(cache=True)
def address_key(high: Any, low: Any, seed: Any) -> Any:
    """Return a 64-bit hash of both halves of an address."""
    return mix(mix(low + seed) + high * GOLDEN + seed)


@njit(cache=True)
def slot_of(table: Any, first: Any, second: Any, now: Any) -> Any:
    """Return (slot, whether it is new to the table). `first` says whose key it is; see above for who is overwritten."""
    slots = table.stamps.size
    base = np.int64(((mix(first ^ (second * GOLDEN)) >> R32) * np.uint64(slots)) >> R32)
    victim, oldest = base, table.stamps[base]
    own, mine, mine_oldest = 0, base, LATEST
    for step in range(PROBES):
        slot = base + step if base + step < slots else base + step - slots
        stamp = table.stamps[slot]
        if stamp == 0:
            victim = slot
            break
        if table.keys[slot, 0] == first and table.keys[slot, 1] == second:
            return slot, False
        if table.keys[slot, 0] == first:
            own += 1
            if stamp < mine_oldest:
                mine, mine_oldest = slot, stamp
        if stamp < oldest:
            victim, oldest = slot, stamp
    if table.stamps[victim] != 0:
        if own >= OWN:
            victim = mine
            table.tally[2] += 1
        table.tally[1] += 1
    table.tally[0] += 1
    table.keys[victim, 0], table.keys[victim, 1] = first, second
    table.stamps[victim] = max(now, 0) + 1
    table.marks[victim] = 0
    table.cells[victim, :] = 0
    table.sketch[victim, :] = 0
    return victim, True


@njit(cache=True)
def elapsed(table: Any, slot: Any, now: Any) -> Any:
    """Return the seconds since the slot was last seen (never negative), and move its stamp."""
    gap = max(now, 0) + 1 - table.stamps[slot]
    if gap <= 0:
        return 0.0
    table.stamps[slot] += gap
    return gap / 1e9


@njit(cache=True)
def is_group(high: Any, low: Any) -> Any:
    """Return whether an address is multicast or broadcast (an IPv4 address that ends in .255 is taken as one)."""
    if high == 0 and (low >> R32) == V4:
        v4 = low & LOW32
        return (v4 >> R28) == np.uint64(14) or (v4 & LOW8) == LOW8
    return (high >> R56) == LOW8


@njit(cache=True)
def is_probe(kind: Any) -> Any:
    """Return whether an ICMP type asks for an answer: echo, timestamp, information, mask, IPv6 echo."""
    return kind == 8 or kind == 13 or kind == 15 or kind == 17 or kind == 128


@njit(cache=True)
def is_stealth(event: Any, state: Any, flags: Any) -> Any:
    """Return whether a TCP flow began with neither SYN, ACK nor RST (NULL, FIN and Xmas scans, RFC 9293 3.10.7.1)."""
    if flags == 0:
        return event == START and state == OTH
    return flags & (SYN | ACK | RST) == 0


@njit(cache=True)
def opens(row: Any) -> Any:
    """Return whether a row tells that its originator began something; replies seen from the middle don't count."""
    event, proto, flags, state = row["event"], row["proto"], row["orig_flags"], row["state"]
    if event & START == 0:
        return False
    if proto == TCP:
        if is_stealth(event, state, flags):
            return True
        if flags == 0:
            return state != OTH and state != RSTRH and state != SHR
        if flags & SYN == 0:  # an ACK scan has no payload and, in a finished flow, an RST as its only answer
            return event & END != 0 and is_ack_probe(row)
        return event & END != 0 or flags & ACK == 0
    if proto == UDP:
        return row["orig_port"] >= 1024 or row["resp_port"] < 1024
    if proto in (ICMP, ICMP6):
        return is_probe(row["orig_port"])
    return True


@njit(cache=True)
def is_ack_probe(row: Any) -> Any:
    """Return whether a finished TCP flow is one bare ACK answered by one RST."""
    return (
        row["orig_flags"] & (SYN | ACK) == ACK
        and row["orig_bytes"] == 0
        and row["resp_bytes"] == 0
        and row["orig_packets"] <= 2
        and row["resp_flags"] & RST != 0
        and row["resp_packets"] <= 2
    )


@njit(cache=True)
def failed(row: Any) -> Any:
    """Return whether a finished flow found nobody who wanted to talk. A missing SYN (RSTRH, SHR) proves nothing."""
    proto, state = row["proto"], row["state"]
    if proto == TCP:
        if state in (S0, REJ, RSTOS0, SH):
            return True
        return is_stealth(row["event"], state, row["orig_flags"]) or is_ack_probe(row)
    if proto in (ICMP, ICMP6):
        return is_probe(row["orig_port"]) and row["resp_packets"] == 0
    return row["resp_packets"] == 0 and row["orig_packets"] > 0


@njit(cache=True)
def fade(cells: Any, first: Any, count: Any, factor: Any) -> Any:
    """Multiply neighbouring counters."""
    for cell in range(first, first + count):
        cells[cell] *= factor


@njit(cache=True)
def fade_three(cells: Any, first: Any, f10: Any, f60: Any, f600: Any) -> Any:
    """Decay a counter kept over the three horizons."""
    cells[first] *= f10
    cells[first + 1] *= f60
    cells[first + 2] *= f600


@njit(cache=True)
def learn_spread(cells: Any, at: Any, value: Any) -> Any:
    """Fold a value into (count, mean, variance), exponentially forgetting from the tenth value on (Welford, West)."""
    cells[at] = min(cells[at] + 1, 1e6)
    rate = max(1.0 / cells[at], 0.1)
    off = value - cells[at + 1]
    cells[at + 1] += rate * off
    cells[at + 2] = (1 - rate) * (cells[at + 2] + rate * off * off)


@njit(cache=True)
def spread(cells: Any, at: Any) -> Any:
    """Return the coefficient of variation of a (count, mean, variance); 1 while fewer than three values are known."""
    if cells[at] < 3 or cells[at + 1] <= 0:
        return 1.0
    return np.sqrt(cells[at + 2]) / cells[at + 1]


@njit(cache=True)
def cardinality(registers: Any) -> Any:
    """Return the HyperLogLog estimate of 32 registers, small counts by their empty ones (linear counting)."""
    total, empty = 0.0, 0
    for register in registers:
        total += 2.0 ** -np.float64(register)
        empty += register == 0
    rough = 0.697 * REGISTERS * REGISTERS / total
    if rough <= 2.5 * REGISTERS and empty > 0:
        return REGISTERS * np.log(REGISTERS / np.float64(empty))
    return rough


@njit(cache=True)
def sketch_span(cells: Any, registers: Any, at: Any, count: Any, now: Any) -> Any:
    """Begin a new span where it is time. `cells[at]` numbers the span; behind it (this, last) estimate a sketch."""
    span = np.float32(now // SPAN_NS)
    if span <= cells[at]:
        return
    for place in range(count):
        latest = at + 1 + 2 * place
        cells[latest + 1] = cells[latest] if span == cells[at] + 1 else np.float32(0.0)
        cells[latest] = 0
    registers[:] = 0
    cells[at] = span


@njit(cache=True)
def sketch_add(cells: Any, registers: Any, at: Any, place: Any, key: Any) -> Any:
    """Count a thing, by its hash, in one of an entity's sketches; call `sketch_span` first."""
    register = REGISTERS * place + np.int64(key & LOW5)
    rest, rank = key >> R5, 1
    while rest & ONE == np.uint64(0) and rank < 59:
        rest >>= ONE
        rank += 1
    if rank > registers[register]:
        registers[register] = rank
        cells[at + 1 + 2 * place] = cardinality(registers[REGISTERS * place : REGISTERS * (place + 1)])


@njit(cache=True)
def touch_source(table: Any, slot: Any, now: Any, row: Any) -> Any:
    """Decay a source's counters to now and add what the row says of bytes."""
    gap, cells = elapsed(table, slot, now), table.cells[slot]
    f10, f60, f600 = np.exp(-gap / 10.0), np.exp(-gap / 60.0), np.exp(-gap / 600.0)
    for first in (S_STARTS, S_FAILED, S_ENDED, S_PORTS, S_PEERS):
        fade_three(cells, first, f10, f60, f600)
    fade(cells, S_OUT, 2, f600)
    cells[S_SLOW] *= np.exp(-gap / SLOW_S)
    cells[S_OUT] += row["new_orig_bytes"]
    cells[S_IN] += row["new_resp_bytes"]
    return cells


@njit(cache=True)
def touch_destination(table: Any, slot: Any, now: Any) -> Any:
    """Decay a destination's counters to now."""
    gap, cells = elapsed(table, slot, now), table.cells[slot]
    cells[D_STARTS_10] *= np.exp(-gap / 10.0)
    fade(cells, D_STARTS_60, 3, np.exp(-gap / 60.0))
    return cells


@njit(cache=True)
def touch_pair(table: Any, slot: Any, now: Any, row: Any) -> Any:
    """Decay a pair's counters to now and add the row's packets."""
    gap, cells = elapsed(table, slot, now), table.cells[slot]
    cells[P_PORTS_60] *= np.exp(-gap / 60.0)
    fade(cells, P_PORTS_600, 3, np.exp(-gap / 600.0))
    fade(cells, P_STARTS_10, 4, np.exp(-gap / 10.0))
    cells[P_PACKETS_10] += row["new_orig_packets"]
    cells[P_ANSWERS_10] += row["new_resp_packets"]
    return cells


@njit(cache=True)
def touch_sweep(table: Any, slot: Any, now: Any) -> Any:
    """Decay the counters of one source on one port, whatever the destination."""
    gap, cells = elapsed(table, slot, now), table.cells[slot]
    cells[W_PEERS_60] *= np.exp(-gap / 60.0)
    fade(cells, W_PEERS_600, 3, np.exp(-gap / 600.0))
    return cells


@njit(cache=True)
def touch_channel(table: Any, slot: Any, now: Any) -> Any:
    """Decay a channel's counters to now; what is known of gaps and sizes stays."""
    gap, cells = elapsed(table, slot, now), table.cells[slot]
    f60, f600 = np.exp(-gap / 60.0), np.exp(-gap / 600.0)
    cells[C_COUNT] *= f600
    cells[C_STARTS_10] *= np.exp(-gap / 10.0)
    fade(cells, C_FAILED_60, 2, f60)
    cells[C_SHORT_600] *= f600
    return cells


@njit(cache=True)
def count_ports(ports: Any, port: Any) -> Any:
    """Count a start on a port; all counts halve as they fill up."""
    if ports[65536] >= 65536.0:
        ports[:] *= np.float32(0.5)
    ports[port] += 1
    ports[65536] += 1


@njit(cache=True)
def begin(row: Any, now: Any, src: Any, dst: Any, pair: Any, sweep: Any, channel: Any, last: Any, fresh: Any) -> Any:
    """Count the start of a flow. `last`: when pair, port and channel began before (0: never); `fresh`: new to dst."""
    for horizon in range(3):
        src[S_STARTS + horizon] += 1
        if now - last[0] > LONGEST_NS:
            src[S_PEERS + horizon] += 1
        if now - last[1] > LONGEST_NS:
            src[S_PORTS + horizon] += 1
    dst[D_STARTS_10] += 1
    dst[D_STARTS_60] += 1
    if fresh:
        dst[D_SOURCES_60] += 1
    dst[D_BEGUN] += 1
    pair[P_BEGUN] += 1
    sweep[W_BEGUN] += 1
    pair[P_STARTS_10] += 1
    traceroute = row["proto"] == UDP and 33434 <= row["resp_port"] <= 33534
    if now - last[2] > LONGEST_NS and not traceroute:
        pair[P_PORTS_60] += 1
        pair[P_PORTS_600] += 1
        sweep[W_PEERS_60] += 1
        sweep[W_PEERS_600] += 1
    channel[C_COUNT] += 1
    channel[C_STARTS_10] += 1
    gap = (now - last[2]) / 1e9
    if last[2] > 0 and gap >= 0.5:
        learn_spread(channel, C_GAPS, gap)


@njit(cache=True)
def finish(row: Any, src: Any, dst: Any, pair: Any, sweep: Any, channel: Any, lost: Any) -> Any:
    """Count the end of a flow."""
    done = not lost and row["resp_bytes"] > 0
    if lost and channel[C_FAILED_60] < 0.05:
        src[S_SLOW] += 1
    for horizon in range(3):
        src[S_ENDED + horizon] += 1
        src[S_FAILED + horizon] += lost
    dst[D_FAILURES_60] += lost
    pair[P_FAILED] += lost
    sweep[W_FAILED] += lost
    channel[C_FAILED_60] += lost
    pair[P_DONE] += done
    sweep[W_DONE] += done
    if row["orig_bytes"] == 0 and row["resp_bytes"] == 0:
        pair[P_EMPTY_10] += 1
    if done:
        learn_spread(channel, C_SIZES, np.float64(row["orig_bytes"] + row["resp_bytes"]))
    if done and row["last"] - row["first"] < 30 * SECOND and row["orig_bytes"] < 20000 and row["resp_bytes"] < 20000:
        channel[C_SHORT_60] += 1
        channel[C_SHORT_600] += 1


@njit(cache=True)
def write_entities(out: Any, src: Any, dst: Any, pair: Any, sweep: Any, channel: Any) -> Any:
    """Write the features that are counters of the entities."""
    for horizon in range(3):
        out[F_SRC_STARTS + horizon] = src[S_STARTS + horizon]
        out[F_SRC_FAILED + horizon] = src[S_FAILED + horizon] / max(src[S_ENDED + horizon], np.float32(1.0))
        out[F_SRC_PORTS + horizon] = src[S_PORTS + horizon]
        out[F_SRC_PEERS + horizon] = src[S_PEERS + horizon]
    out[F_SRC_OUT] = src[S_OUT]
    out[F_SRC_OUT_SHARE] = src[S_OUT] / max(src[S_OUT] + src[S_IN], np.float32(1.0))
    out[F_SRC_SLOW] = src[S_SLOW]
    out[F_DST_STARTS_10 : F_DST_FAILURES + 1] = dst[:D_BEGUN]
    out[F_NEW_PAIR], out[F_NEW_PORT], out[F_NEW_DST] = pair[P_BEGUN] <= 1, sweep[W_BEGUN] <= 1, dst[D_BEGUN] <= 1
    out[F_DISTINCT_PEERS] = max(src[S_SKETCH + 1], src[S_SKETCH + 2])
    out[F_DISTINCT_PORTS] = max(src[S_SKETCH + 3], src[S_SKETCH + 4])
    out[F_DISTINCT_SOURCES] = max(dst[D_SKETCH + 1], dst[D_SKETCH + 2])
    out[F_CH_COUNT : F_CH_FAILURES + 1] = channel[C_COUNT : C_FAILED_60 + 1]
    out[F_CH_GAPS], out[F_CH_GAP] = channel[C_GAPS], channel[C_GAP]
    out[F_CH_GAP_CV], out[F_CH_SIZE_CV] = spread(channel, C_GAPS), spread(channel, C_SIZES)
    out[F_CH_SHORT_60], out[F_CH_SHORT_600] = channel[C_SHORT_60], channel[C_SHORT_600]
    out[F_PAIR_PORTS_60 : F_PAIR_EMPTY + 1] = pair[:P_BEGUN]
    out[F_SWEEP_60 : F_SWEEP_DONE + 1] = sweep[:W_BEGUN]


@njit(cache=True)
def write_flow(out: Any, row: Any, lost: Any) -> Any:
    """Write the features of the flow itself."""
    out[F_DURATION] = max(row["last"] - row["first"], 0) / 1e9
    out[F_FAILED] = lost
    out[F_MEAN_OUT] = row["orig_ip_bytes"] / max(np.float64(row["orig_packets"]), 1.0)
    total = np.float64(row["orig_bytes"]) + np.float64(row["resp_bytes"])
    out[F_BYTES_RATIO] = row["orig_bytes"] / max(total, 1.0)


@njit(cache=True)
def advance(
    rows: Any, sources: Any, targets: Any, pairs: Any, sweeps: Any, channels: Any, ports: Any, seed: Any, out: Any,
    ended: Any, keys: Any,
) -> Any:  # fmt: skip
    """Walk flow rows in order: keep the tables, fill `out` (row, feature), `ended`, and the sources' `keys`."""
    last = np.zeros(3, np.int64)
    for i in range(rows.size):
        row, line = rows[i], out[i]
        now = row["ts"]
        src_key = address_key(row["orig_hi"], row["orig_lo"], seed)
        keys[i] = src_key
        source, _ = slot_of(sources, row["orig_hi"] ^ seed, row["orig_lo"], now)
        src = touch_source(sources, source, now, row)
        if is_group(row["resp_hi"], row["resp_lo"]):
            continue
        dst_key = address_key(row["resp_hi"], row["resp_lo"], ~seed)
        proto = np.uint64(row["proto"])
        port = np.int64(0 if row["proto"] in (ICMP, ICMP6) else row["resp_port"])
        kind = np.uint64(port) << R32 | proto
        target, _ = slot_of(targets, row["resp_hi"] ^ seed, row["resp_lo"], now)
        dst = touch_destination(targets, target, now)
        sketch_span(src, sources.sketch[source], S_SKETCH, 2, now)
        sketch_span(dst, targets.sketch[target], D_SKETCH, 1, now)
        pair_at, pair_new = slot_of(pairs, src_key, dst_key, now)
        pair = touch_pair(pairs, pair_at, now, row)
        sweep_at, _ = slot_of(sweeps, src_key, mix(kind + seed), now)
        sweep = touch_sweep(sweeps, sweep_at, now)
        channel_at, _ = slot_of(channels, src_key, mix(dst_key ^ mix(kind)), now)
        channel = touch_channel(channels, channel_at, now)
        opened = opens(row)
        if opened:
            last[0], last[1], last[2] = pairs.marks[pair_at], sweeps.marks[sweep_at], channels.marks[channel_at]
            begin(row, now, src, dst, pair, sweep, channel, last, pair_new or now - last[0] > LONGEST_NS)
            pairs.marks[pair_at] = sweeps.marks[sweep_at] = channels.marks[channel_at] = now
            count_ports(ports, port)
            sketch_add(src, sources.sketch[source], S_SKETCH, 0, dst_key)
            sketch_add(src, sources.sketch[source], S_SKETCH, 1, mix(kind + seed))
            sketch_add(dst, targets.sketch[target], D_SKETCH, 0, src_key)
        lost = row["event"] & END != 0 and failed(row)
        if row["event"] & END:
            finish(row, src, dst, pair, sweep, channel, lost)
        write_entities(line, src, dst, pair, sweep, channel)
        line[F_RARITY] = np.log2((ports[65536] + 16.0) / max(ports[port], np.float32(1.0)))
        write_flow(line, row, lost)
        ended[i] = row["event"] & END != 0


@njit(cache=True)
def admit(stamps: Any, keys: Any, code: Any, strengths: Any, table: Any, quiet_ns: Any, out: Any) -> Any:
    """Let a crossing of (entity, behaviour) through when new, a quarter stronger, or quiet for `quiet_ns`."""
    for i in range(strengths.size):
        if strengths[i] < 1.0:
            continue
        slot, fresh = slot_of(table, keys[i], code, stamps[i])
        elapsed(table, slot, stamps[i])
        cells = table.cells[slot]
        if fresh or strengths[i] >= 1.25 * cells[0] or stamps[i] - table.marks[slot] >= quiet_ns:
            cells[0] = strengths[i]
            table.marks[slot] = stamps[i]
            out[i] = True
