"""The flow table as one object: its arrays, and rows out of it as they become known."""

from math import ceil

import numpy as np

from sensors.packets import flows
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
        self._nodes = np.zeros(capacity + 3, flows.NODE)
        self._index = np.zeros(1 << (2 * capacity).bit_length(), np.int64)
        self._rows = np.zeros(_SPARE_ROWS, FLOW)
        self._services = services()
        self._state = np.zeros(flows.STATE_SIZE, np.int64)
        self._state[flows.SEED] = seed
        self._state[flows.CAPACITY] = capacity
        self._state[flows.IDLE] = max(1, ceil(settings.idle_timeout_s))
        self._state[flows.ACTIVE] = max(1, ceil(settings.active_timeout_s))
        self._state[flows.FREE] = -1
        for head in range(capacity, capacity + 3):
            for link in ("previous", "next", "older", "younger"):
                self._nodes[head][link] = head

    def take_evicted(self) -> int:
        """Return how many flows were ended for want of room since the last call."""
        evicted = int(self._state[flows.EVICTED])
        self._state[flows.EVICTED] = 0
        return evicted

    def follow(self, packets: Rows, count: int) -> Rows:
        """Take in the first `count` decoded packets; return the rows that they lead to, in (ts, seq) order."""
        parts, done = [], 0
        while done < count:
            done = flows.follow(self._nodes, self._index, self._rows, self._services, self._state, packets, done, count)
            parts.append(self._drain())
        return _joined(parts)

    def pass_time(self, ts: int) -> Rows:
        """Let event time go on to `ts` (ns) without a packet; return the rows of flows that end."""
        parts, done = [], False
        while not done:
            done = flows.pass_time(
                self._nodes, self._index, self._rows, self._services, self._state, ts // flows.SECOND
            )
            parts.append(self._drain())
        return _joined(parts)

    def finish(self, ts: int) -> Rows:
        """End every flow at event time `ts` (ns); return their rows."""
        parts, done = [], False
        while not done:
            done = flows.finish(self._nodes, self._index, self._rows, self._services, self._state, ts)
            parts.append(self._drain())
        return _joined(parts)

    def _drain(self) -> Rows:
        rows = self._rows[: self._state[flows.ROWS]].copy()
        self._state[flows.ROWS] = 0
        return rows


def _joined(parts: list[Rows]) -> Rows:
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, FLOW)
