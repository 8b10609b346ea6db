"""The flow table as one object: its arrays, and rows out of it as they become known."""

from collections.abc import Callable
from math import ceil

import numpy as np

from sensors.packets.columns import Bytes
from sensors.packets.flow import nodes
from sensors.packets.flow.ends import finish, pass_time
from sensors.packets.flow.follow import follow
from sensors.packets.flow.nodes import Table
from sensors.packets.ports import services
from sensors.settings import SensorSettings
from sensors.values import FLOW, Rows

_SPARE_ROWS = 1 << 16


class FlowTable:
    """Flows of one source: at most `settings.max_flows`, time-outs rounded up to whole seconds.

    `seed` (0 to 2**63 - 1) keeps strangers from choosing 5-tuples that collide; it has no influence on rows.
    """

    def __init__(self, settings: SensorSettings, seed: int) -> None:
        capacity = max(settings.max_flows, 1)
        state = np.zeros(nodes.STATE_SIZE, np.int64)
        state[nodes.SEED] = seed
        state[nodes.CAPACITY] = capacity
        state[nodes.IDLE] = max(1, ceil(settings.idle_timeout_s))
        state[nodes.ACTIVE] = max(1, ceil(settings.active_timeout_s))
        state[nodes.FREE] = -1
        self.arrays = Table(
            np.zeros(capacity + 3, nodes.NODE),
            np.zeros(2 * capacity, nodes.SIDE),
            np.zeros(1 << (2 * capacity).bit_length(), np.int64),
            np.zeros(_SPARE_ROWS, FLOW),
            services(),
            state,
        )
        for head in range(capacity, capacity + 3):
            for link in ("previous", "next", "older", "younger"):
                self.arrays.nodes[head][link] = head

    def take_evicted(self) -> int:
        """Return how many flows were ended for want of room since the last call."""
        evicted = int(self.arrays.state[nodes.EVICTED])
        self.arrays.state[nodes.EVICTED] = 0
        return evicted

    def follow(self, data: Bytes, packets: Rows, count: int) -> Rows:
        """Take in the first `count` decoded packets, which lie in `data`; return their rows, in (ts, seq) order."""
        parts, done = [], 0
        while done < count:
            done = follow(data, self.arrays, packets, done, count)
            parts.append(self._drain())
        return _joined(parts)

    def pass_time(self, ts: int) -> Rows:
        """Let event time go on to `ts` (ns) without a packet; return the rows of flows that end."""
        return self._all(lambda: pass_time(self.arrays, ts // nodes.SECOND))

    def finish(self, ts: int) -> Rows:
        """End every flow at event time `ts` (ns); return their rows."""
        return self._all(lambda: finish(self.arrays, ts))

    def _all(self, step: Callable[[], bool]) -> Rows:
        parts, done = [], False
        while not done:
            done = step()
            parts.append(self._drain())
        return _joined(parts)

    def _drain(self) -> Rows:
        rows = self.arrays.rows[: self.arrays.state[nodes.ROWS]].copy()
        self.arrays.state[nodes.ROWS] = 0
        return rows


def _joined(parts: list[Rows]) -> Rows:
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, FLOW)
