"""From frames to batches: decode, follow flows, read the few payloads that are understood; count everything.

Guarantees: the rows of all batches together don't depend on how frames are cut into calls; each frame is counted once,
as parsed, ignored or malformed.
"""

from collections.abc import Callable

import numpy as np

from sensors.packets import decode
from sensors.packets.columns import FAULT, FAULT_TEXTS, IGNORED, MALFORMED, PACKET, Bytes
from sensors.packets.table import FlowTable
from sensors.settings import SensorSettings
from sensors.values import MAX_FAULTS_KEPT, Batch, Counters, Fault, Kind, Rows

CHUNK = 1 << 16
"""Packets in a batch."""


class FaultLog:
    """Room for the faults that kernels note in one call."""

    def __init__(self) -> None:
        self.faults = np.zeros(MAX_FAULTS_KEPT, FAULT)
        self.noted = np.zeros(1, np.int64)

    def drain(self, counters: Counters, place: Callable[[int], int] = int) -> int:
        """Move the faults into the counters and return their number; `place` maps offsets to what the user sees."""
        count = int(self.noted[0])
        kept = min(count, len(self.faults))
        for code, offset, number in self.faults[:kept][["code", "offset", "number"]].tolist():
            name, text = FAULT_TEXTS[code]
            counters.fault(Fault(name, place(offset), text, number))
        counters.malformed += count - kept
        self.noted[0] = 0
        return count


class Pipeline:
    """The state between frames and batches of one source."""

    def __init__(self, name: str, settings: SensorSettings, counters: Counters, seed: int) -> None:
        self.packets = np.zeros(CHUNK, PACKET)
        self.log = FaultLog()
        self._name = name
        self._counters = counters
        self._table = FlowTable(settings, seed)
        self._fragments = np.zeros(decode.FRAGMENTS, decode.FRAGMENT)
        self._state = np.zeros(decode.STATE_SIZE, np.int64)

    @property
    def clock(self) -> int:
        """Event time so far, ns."""
        return int(self._state[decode.CLOCK])

    def feed(self, data: Bytes, count: int) -> Batch:
        """Return what the first `count` frames of `self.packets`, which lie in `data`, lead to."""
        packets = self.packets
        late = int(self._state[decode.LATE])
        decode.decode(data, packets, count, self._state, self._fragments, self.log.faults, self.log.noted)
        status = packets["status"][:count]
        ignored = int(np.count_nonzero(status == IGNORED))
        malformed = int(np.count_nonzero(status == MALFORMED))
        self.log.drain(self._counters)
        self._counters.read += count
        self._counters.ignored += ignored
        self._counters.parsed += count - ignored - malformed
        self._counters.late += int(self._state[decode.LATE]) - late
        self._counters.bytes += int(packets["captured"][:count].sum(dtype=np.int64))
        return self._batch(self._table.follow(packets, count))

    def pass_time(self, ts: int) -> Batch:
        """Return what ends when event time goes on to `ts` (ns) without a packet."""
        self._state[decode.CLOCK] = max(self.clock, ts)
        return self._batch(self._table.pass_time(self.clock))

    def finish(self) -> Batch:
        """Return the ends of all flows."""
        return self._batch(self._table.finish(self.clock))

    def _batch(self, flows: Rows) -> Batch:
        tables = {Kind.FLOW: flows} if len(flows) else {}
        self._counters.dropped += self._table.take_evicted()
        batch = Batch((self._name,), self.clock, tables, ("",))
        self._counters.rows += len(batch)
        return batch
