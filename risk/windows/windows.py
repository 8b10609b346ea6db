"""The windows of all entities that take part in flows, and the view of one stretch of rows that behaviours read.

Guarantees: memory is bounded by `max_entities`; equal rows in equal order give equal features however they are cut.
It doesn't judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk.settings import RiskSettings
from risk.windows import kernel
from risk.windows.features import FEATURES, INDEX
from sensors.addresses import address_text
from sensors.values import Entity, EntityKind, Rows

Column = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FlowView:
    """Flow rows beside their features."""

    rows: Rows
    matrix: NDArray[np.float32]
    """(rows, features)"""
    ended: NDArray[np.bool_]
    """The rows that models look at: each tells the end of a flow to a single host."""
    keys: NDArray[np.uint64]
    """A hash of each row's source."""
    sources: tuple[str, ...]

    def feature(self, name: str) -> Column:
        """Return the column of a feature."""
        return self.matrix[:, INDEX[name]]

    def value(self, row: int, name: str) -> float:
        """Return one feature of one row."""
        return float(self.matrix[row, INDEX[name]])

    def orig(self, row: int) -> Entity:
        """Return the originator of a row."""
        record = self.rows[row]
        return Entity(EntityKind.IP, address_text(int(record["orig_hi"]), int(record["orig_lo"])))

    def resp(self, row: int) -> Entity:
        """Return the responder of a row."""
        record = self.rows[row]
        return Entity(EntityKind.IP, address_text(int(record["resp_hi"]), int(record["resp_lo"])))


class FlowWindows:
    """The tables of sources, destinations, pairs, ports of sources, and channels."""

    def __init__(self, settings: RiskSettings) -> None:
        # A quarter more than asked for, so that chance leaves few neighbourhoods full before the table is.
        slots = settings.max_entities * 5 // 4
        self._sources = kernel.make_table(slots, kernel.S_WIDTH, 2)
        self._targets = kernel.make_table(slots, kernel.D_WIDTH, 1)
        self._pairs = kernel.make_table(slots, kernel.P_WIDTH)
        self._sweeps = kernel.make_table(slots, kernel.W_WIDTH)
        self._channels = kernel.make_table(2 * slots, kernel.C_WIDTH)
        self._ports = np.zeros(65537, np.float32)
        self._seed = np.uint64(settings.seed)

    def advance(self, rows: Rows, sources: tuple[str, ...]) -> FlowView:
        """Count rows (dtype FLOW, in event order) and return them beside their features."""
        matrix = np.zeros((len(rows), len(FEATURES)), np.float32)
        ended = np.zeros(len(rows), np.bool_)
        keys = np.zeros(len(rows), np.uint64)
        # One memory layout, so that one compiled kernel serves whatever the caller cut out of its arrays.
        rows = np.require(rows, requirements=("C", "W"))
        kernel.advance(
            rows, self._sources, self._targets, self._pairs, self._sweeps, self._channels, self._ports, self._seed,
            matrix, ended, keys,
        )  # fmt: skip
        return FlowView(rows, matrix, ended, keys, sources)

    def counts(self) -> Mapping[str, int]:
        """Return how many sources and so on were placed in the tables, and how many were overwritten."""
        tables = {
            "sources": self._sources, "destinations": self._targets, "pairs": self._pairs,
            "source_ports": self._sweeps, "channels": self._channels,
        }  # fmt: skip
        placed = {f"{name}_placed": int(table.tally[0]) for name, table in tables.items()}
        evicted = {f"{name}_evicted": int(table.tally[1]) for name, table in tables.items()}
        return {**placed, **evicted}
