"""Local time to UTC, for logs whose stamps don't say their zone.

Guarantees: only rows of lines that carry no zone themselves move; an hour that comes twice (the clocks go back) is
taken for the first, one that never comes for the time before the change (PEP 495, fold 0). Stamps that count seconds
since the epoch have no zone to tell.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sensors.errors import UnknownZoneError
from sensors.logs.lines import Block
from sensors.logs.patterns import Pattern
from sensors.values import Batch, Kind

_HOUR_NS = 3_600_000_000_000
_QUARTER_NS = _HOUR_NS // 4
_TOLD = Pattern(
    r"^.{0,300}?(?:\d\d:\d\d:\d\d(?:[.,]\d+)? ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b|\b1\d{9}(?:\d{3})?(?:\.\d+)?\b)"
)
_SPANS = {Kind.FLOW: ("first", "last")}
"""Columns besides `ts` that hold instants."""


class Zone:
    """A time zone of the IANA database, by its name."""

    def __init__(self, name: str) -> None:
        """Raise `UnknownZoneError` where this machine doesn't know it."""
        try:
            zone = ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise UnknownZoneError(f"there is no time zone {name!r} here; write it as in Europe/Vienna") from error
        self._east = lru_cache(4096)(lambda quarter: _east_ns(zone, quarter))

    def shift(self, batch: Batch, block: Block) -> Batch:
        """Return the batch of a block with the rows of lines that don't tell their zone moved to UTC."""
        untold = np.array([not _TOLD.matches(line[:400]) for line in block.lines], bool)
        tables = {}
        for kind, rows in batch.tables.items():
            moved = rows.copy()
            chosen = untold[(rows["seq"] - np.uint64(block.first)).astype(np.int64)]
            for column in ("ts", *_SPANS.get(kind, ())):
                moved[column][chosen] -= self._offsets(rows[column][chosen])
            tables[kind] = moved[np.argsort(moved["ts"], kind="stable")]
        return Batch(batch.sources, batch.watermark, tables, batch.texts)

    def _offsets(self, local: NDArray[np.int64]) -> NDArray[np.int64]:
        quarters, where = np.unique(local // _QUARTER_NS, return_inverse=True)
        return np.array([self._east(int(quarter)) for quarter in quarters], np.int64)[where]


def _east_ns(zone: ZoneInfo, quarter: int) -> int:
    """Return how far east of UTC a zone's clocks are at a quarter of an hour of its local time, in ns."""
    local = datetime.fromtimestamp(quarter * 900, UTC).replace(tzinfo=zone)
    offset = local.utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000_000


def times_in_line_order(batch: Batch) -> NDArray[np.int64]:
    """Return the event times of a batch's rows in the order of their lines."""
    tables = list(batch.tables.values())
    if not tables:
        return np.empty(0, np.int64)
    lines = np.concatenate([table["seq"] for table in tables])
    times: NDArray[np.int64] = np.concatenate([table["ts"] for table in tables])
    return times[np.argsort(lines, kind="stable")]
