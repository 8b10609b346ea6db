"""Put both directions of a flow together, and make FLOW rows of them.

Exporters tell each direction by itself, and a long flow in pieces. Guarantees: a record waits `PATIENCE_NS` for the
other direction, at most `MAX_WAITING` do (the oldest is told then), and pieces of one direction that come meanwhile are
added to it; a later piece of a flow that was told is an UPDATE of it, of the latest `MAX_TOLD`. `orig` is who sent
first, or where that doesn't tell, who isn't at a well-known port; a record that nobody answers and that comes from such
a port, or is a lone RST or an ICMP reply, is an answer: its `orig` is the other end, without packets.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import numpy as np

from sensors.logs.flows import ACK, RST, SYN, TCP, UDP, conn_state, flow_row
from sensors.netflow.records import ICMP, MOST_BYTES, MOST_PACKETS, RECORD
from sensors.netflow.templates import Recent
from sensors.packets.ports import services
from sensors.values import FLOW, ConnState, FlowEvent, Rows

PATIENCE_NS: Final = 5_000_000_000
GAP_NS: Final = 120_000_000_000
"""A record that begins this long after the previous one of the same ends is a flow of its own."""
MAX_WAITING: Final = 1 << 16
MAX_TOLD: Final = 1 << 16
_EPHEMERAL: Final = 1024
_REPLIES: Final = {0: 8, 14: 13, 129: 128}
"""ICMP replies and their requests."""

Record: TypeAlias = tuple[int, ...]
"""A row of `RECORD`."""
Key: TypeAlias = tuple[int, int, int, int, int, int, int]
"""Halves of source and destination, their ports, protocol."""
Told: TypeAlias = Recent[Key, tuple[int, int, int, int, int, int]]
"""Flows that were told of: when they began and were seen last; packets and bytes of both directions so far."""
NUMBER, FIRST, LAST, SRC_HI, SRC_LO, DST_HI, DST_LO, SRC_PORT, DST_PORT, PROTO = range(10)
FLAGS, BACK_FLAGS, PACKETS, BACK_PACKETS, BYTES, BACK_BYTES, BOTH, GOES_ON = range(10, 18)
assert (RECORD.names or ())[PROTO] == "proto" and (RECORD.names or ())[GOES_ON] == "goes_on"


class Pairs:
    """What waits for its other direction, and which flows were told of late."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Key, tuple[int, Record]] = OrderedDict()
        self._told: Told = Recent(MAX_TOLD)

    def add(self, records: Rows, now: int) -> Rows:
        """Take in records (rows of `RECORD`) at `now` (ns); return the rows of flows that are whole."""
        return _rows(row for record in records.tolist() for row in self._take(record, now))

    def expire(self, now: int) -> Rows:
        """Return the rows of records whose patience has ended."""
        return _rows(self._expired(now))

    def finish(self) -> Rows:
        """Return the rows of everything that waits."""
        return self.expire(1 << 63)

    def _take(self, record: Record, now: int) -> Iterator[Record]:
        record = _request_like(record)
        if record[BOTH] and record[BACK_PACKETS]:
            yield self._row(_turned_around(record) if self._is_turned(record) else record)
            return
        there, back = _key(record), _turned(_key(record))
        waiting = self._waiting.get(back)
        if waiting is not None and _overlap(waiting[1], record):
            del self._waiting[back]
            yield self._row(_merged(waiting[1], record, self._told))
            return
        due, earlier = self._waiting.get(there, (0, None))
        if earlier is not None and _overlap(earlier, record):
            self._waiting[there] = due, _joined(earlier, record)
            return
        if earlier is not None:
            del self._waiting[there]
            yield self._row(_alone(earlier, self._told))
        self._waiting[there] = now + PATIENCE_NS, record
        if len(self._waiting) > MAX_WAITING:
            yield self._row(_alone(self._waiting.popitem(last=False)[1][1], self._told))

    def _is_turned(self, record: Record) -> bool:
        """Tell whether the source of a record of both directions is the end that answers (some sort them)."""
        key = _key(record)
        return key not in self._told and (_turned(key) in self._told or _answers(record))

    def _expired(self, now: int) -> Iterator[Record]:
        while self._waiting:
            key, (due, record) = next(iter(self._waiting.items()))
            if due > now:
                return
            del self._waiting[key]
            yield self._row(_alone(record, self._told))

    def _row(self, record: Record) -> Record:
        """Return the FLOW row of a record whose source is the originator."""
        key = _key(record)
        sums = record[PACKETS], record[BACK_PACKETS], record[BYTES], record[BACK_BYTES]
        before = self._told.get(key)
        opened = record[PROTO] == TCP and record[FLAGS] & SYN and record[PACKETS] > 1
        if before is None or record[FIRST] - before[1] > GAP_NS or record[FIRST] < before[0] or opened:
            event, first, total = FlowEvent.START | (0 if record[GOES_ON] else FlowEvent.END), record[FIRST], sums
        else:
            event, first = FlowEvent.UPDATE, before[0]
            most = MOST_PACKETS, MOST_PACKETS, MOST_BYTES, MOST_BYTES
            total = tuple(map(min, map(sum, zip(before[2:], sums, strict=True)), most))  # type: ignore[assignment]  # four each
        self._told.keep(key, (first, record[LAST], *total))
        flags = (record[FLAGS], record[BACK_FLAGS]) if record[PROTO] == TCP else (0, 0)
        packets = record[PACKETS], record[BACK_PACKETS]
        state = conn_state(record[PROTO], flags, packets) if packets[0] else ConnState.OTH
        return flow_row(
            record[NUMBER], int(event), key, state, (first, record[LAST]), packets, (sums[2], sums[3]), flags,
            (total[0], total[1]), (total[2], total[3]),
        )  # fmt: skip


def _key(record: Record) -> Key:
    return (
        record[SRC_HI], record[SRC_LO], record[DST_HI], record[DST_LO], record[SRC_PORT], record[DST_PORT],
        record[PROTO],
    )  # fmt: skip


def _turned(key: Key) -> Key:
    """Return the key of the other direction; type and code of ICMP are those of the request, in both."""
    source_hi, source_lo, target_hi, target_lo, source, target, proto = key
    ports = (source, target) if proto in ICMP else (target, source)
    return target_hi, target_lo, source_hi, source_lo, *ports, proto


def _request_like(record: Record) -> Record:
    """Turn a record of ICMP replies into the answer's direction of their requests'."""
    kind = _REPLIES.get(record[SRC_PORT]) if record[PROTO] in ICMP else None
    if kind is None:
        return record
    return (*record[:SRC_PORT], kind, *record[DST_PORT:FLAGS], 0xFF, *record[BACK_FLAGS:])


def _overlap(one: Record, other: Record) -> bool:
    return one[FIRST] - PATIENCE_NS <= other[LAST] and other[FIRST] - PATIENCE_NS <= one[LAST]


def _joined(one: Record, other: Record) -> Record:
    """Return two pieces of one direction as one record."""
    return (
        *one[:FIRST], min(one[FIRST], other[FIRST]), max(one[LAST], other[LAST]), *one[SRC_HI:FLAGS],
        one[FLAGS] | other[FLAGS], one[BACK_FLAGS], min(one[PACKETS] + other[PACKETS], MOST_PACKETS), one[BACK_PACKETS],
        min(one[BYTES] + other[BYTES], MOST_BYTES), *one[BACK_BYTES:GOES_ON], other[GOES_ON],
    )  # fmt: skip


def _merged(one: Record, other: Record, told: Told) -> Record:
    """Return both directions as one record whose source is the originator."""
    if _key(one) in told:
        orig, resp = one, other
    elif _key(other) in told or _began(other, one):
        orig, resp = other, one
    else:
        orig, resp = one, other
    return (
        orig[NUMBER], min(one[FIRST], other[FIRST]), max(one[LAST], other[LAST]), *_key(orig),
        orig[FLAGS], resp[FLAGS], orig[PACKETS], resp[PACKETS], orig[BYTES], resp[BYTES], True,
        orig[GOES_ON] or resp[GOES_ON],
    )  # fmt: skip


def _began(one: Record, other: Record) -> bool:
    """Tell whether `one`, which came later, is the direction that began."""
    if one[PROTO] in ICMP:
        return other[FLAGS] == 0xFF
    if one[FIRST] != other[FIRST]:
        return one[FIRST] < other[FIRST]
    return _answers(other)


def _answers(record: Record) -> bool:
    """Tell whether a record looks like the answering direction, by what it alone says."""
    if record[PROTO] in ICMP:
        return record[FLAGS] == 0xFF
    if record[PROTO] == TCP and record[FLAGS] & (SYN | ACK | RST) in (RST, RST | ACK):
        return record[PACKETS] <= 1
    if record[PROTO] == TCP and record[FLAGS] & (SYN | ACK) == SYN:
        return False
    return _known(record[PROTO], record[SRC_PORT]) and not _known(record[PROTO], record[DST_PORT])


def _known(proto: int, port: int) -> bool:
    return port < _EPHEMERAL or (proto in (TCP, UDP) and bool(services()[int(proto == UDP), port]))


def _alone(record: Record, told: Told) -> Record:
    """Return a record that nobody answered, turned around where it is an answer itself."""
    key = _key(record)
    if key in told or not (_turned(key) in told or _answers(record)):
        return record
    return _turned_around(record)


def _turned_around(record: Record) -> Record:
    back, there = record[BACK_FLAGS:BOTH:2], record[FLAGS:BOTH:2]
    counts = (value for pair in zip(back, there, strict=True) for value in pair)
    return (*record[:SRC_HI], *_turned(_key(record)), *counts, *record[BOTH:])


def _rows(rows: Iterable[Record]) -> Rows:
    table = np.array(list(rows), FLOW)
    return table[np.argsort(table["ts"], kind="stable")]
