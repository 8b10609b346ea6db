"""From frames to batches: decode, follow flows, read the few payloads that are understood; count everything.

Guarantees: the rows of all batches together don't depend on how frames are cut into calls; each frame is counted once,
as parsed, ignored or malformed.
"""

from collections.abc import Callable, Mapping

import numpy as np

from sensors.packets import signs
from sensors.packets.columns import FAULT, FAULT_TEXTS, IGNORED, MALFORMED, PACKET, Bytes
from sensors.packets.flow.saved import load, save
from sensors.packets.flow.table import FlowTable
from sensors.packets.headers import decode
from sensors.packets.headers.fragments import FRAGMENT, FRAGMENTS
from sensors.packets.payloads import Payloads
from sensors.packets.recent import RecentPackets
from sensors.packets.rows import Texts
from sensors.packets.sections import section
from sensors.settings import SensorSettings
from sensors.values import MAX_FAULTS_KEPT, Batch, Counters, Fault, Kind, Rows

CHUNK = 1 << 16
"""Packets in a batch."""


Keep = Callable[[bytes, int], None]
"""Takes a section of pcapng and the event time (ns) that it came at."""


class FaultLog:
    """Room for the faults that kernels note in one call."""

    def __init__(self, has_offsets: bool = True) -> None:
        self._has_offsets = has_offsets  # a place in a ring means nothing to anybody
        self.faults = np.zeros(MAX_FAULTS_KEPT, FAULT)
        self.noted = np.zeros(1, np.int64)

    def drain(self, counters: Counters) -> int:
        """Move the faults into the counters and return their number."""
        count = int(self.noted[0])
        kept = min(count, len(self.faults))
        for code, offset, number in self.faults[:kept][["code", "offset", "number"]].tolist():
            name, text = FAULT_TEXTS[code]
            counters.fault(Fault(name, offset if self._has_offsets else 0, text, number))
        counters.malformed += count - kept
        self.noted[0] = 0
        return count


class Pipeline:
    """The state between frames and batches of one source; without `payloads` it tells of flows alone."""

    def __init__(
        self,
        name: str,
        settings: SensorSettings,
        counters: Counters,
        seed: int,
        *,
        has_offsets: bool = True,
        payloads: bool = True,
    ) -> None:
        self.packets = np.zeros(CHUNK + 1, PACKET)
        """Room for the frames of a batch, and the one after it."""
        self.log = FaultLog(has_offsets)
        self._name = name
        self._counters = counters
        self._table = FlowTable(settings, seed)
        self._payloads = Payloads(CHUNK)
        self._reads_payloads = payloads
        self._fragments = np.zeros(FRAGMENTS, FRAGMENT)
        self.keep: Keep | None = None
        """Takes the packets of each batch, where they are kept."""
        self._keeps_payload = settings.keep_what == "whole"
        self.recent = RecentPackets(settings.deep_look_bytes) if settings.deep_look != "off" else None
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
        if self.recent is not None:
            self.recent.take(data, packets, count)
        if self.keep is not None:
            self.keep(section(data, packets[:count], payload=self._keeps_payload), self.clock)
        signs.mark(data, packets, count)
        texts = Texts()
        tables = {Kind.FLOW: self._table.follow(data, packets, count)}  # it marks what of a response is to be read
        if self._reads_payloads:
            tables |= self._payloads.messages(data, packets, count, texts, self.clock)
            found = self._payloads.questions(data, packets, count, texts, self.log.faults, self.log.noted)
            tables[Kind.DNS] = found
        self._count(packets[:count], int(self._state[decode.LATE]) - late)
        return self._batch(tables, texts)

    def pass_time(self, ts: int) -> Batch:
        """Return what ends when event time goes on to `ts` (ns) without a packet."""
        self._state[decode.CLOCK] = max(self.clock, ts)
        if self.keep is not None:
            self.keep(b"", self.clock)
        texts = Texts()
        tables = {Kind.FLOW: self._table.pass_time(self.clock), **self._payloads.pass_time(texts, self.clock)}
        return self._batch(tables, texts)

    def finish(self) -> Batch:
        """Return the ends of all flows, and what still waited for an answer."""
        texts = Texts()
        tables = {Kind.FLOW: self._table.finish(self.clock), **self._payloads.finish(texts, self.clock)}
        return self._batch(tables, texts)

    def suspend(self) -> tuple[Batch, bytes]:
        """Return what still waited for an answer, and the flows as bytes for another pipeline to go on with."""
        texts = Texts()
        batch = self._batch(self._payloads.finish(texts, self.clock), texts)
        return batch, save(self._table.arrays, self._state, self._fragments)

    def resume(self, saved: bytes) -> None:
        """Go on, before anything is fed, where another one was suspended; raise `UnreadableStateError`."""
        load(saved, self._table.arrays, self._state, self._fragments)

    def _count(self, packets: Rows, late: int) -> None:
        ignored = int(np.count_nonzero(packets["status"] == IGNORED))
        malformed = int(np.count_nonzero(packets["status"] == MALFORMED))
        self.log.drain(self._counters)
        self._counters.read += len(packets)
        self._counters.ignored += ignored
        self._counters.parsed += len(packets) - ignored - malformed
        self._counters.late += late

    def _batch(self, tables: Mapping[Kind, Rows], texts: Texts) -> Batch:
        evicted = self._table.take_evicted()
        self._counters.evicted += evicted
        self._counters.dropped += evicted + self._payloads.take_dropped()
        filled = {kind: rows for kind, rows in tables.items() if len(rows)}
        batch = Batch((self._name,), self.clock, filled, texts.all())
        self._counters.rows += len(batch)
        return batch


def warm_up() -> None:
    """Load or compile every kernel of the pipeline, so that the first packets don't wait for it."""
    nothing = np.zeros(1, np.uint8)
    nothing.flags.writeable = False
    pipeline = Pipeline("", SensorSettings(max_flows=1), Counters(), 0)
    pipeline.feed(nothing, 1)
    pipeline.pass_time(1)
    pipeline.finish()
