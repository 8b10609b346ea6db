"""Where a model's state comes from: which sources, over which time, in how many rows, and from which earlier state.

Guarantees: bounded (`MAX_SOURCES` sources; the rest are counted together under ""); event time only. It belongs to
the state and is saved with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sensors.values import Batch

MAX_SOURCES = 256
MAX_PARENTS = 32


@dataclass(slots=True)
class Span:
    """What one source gave."""

    first_ts: int
    """Event time, ns."""
    last_ts: int
    rows: int = 0


class Lineage:
    """The sources that a state has seen, and the states that it goes on from, newest last."""

    def __init__(self) -> None:
        self.sources: dict[str, Span] = {}
        self.parents: list[str] = []

    def begin(self, digest: str) -> None:
        """Note that a saved state was taken up."""
        self.parents.append(digest)
        del self.parents[:-MAX_PARENTS]

    def count(self, batch: Batch) -> None:
        """Note what a batch came from."""
        for rows in batch.tables.values():
            for code in np.unique(rows["source"]).tolist():
                stamps = rows["ts"][rows["source"] == code]
                self._add(batch.sources[code], int(stamps.min()), int(stamps.max()), len(stamps))

    def document(self) -> Mapping[str, object]:
        """Return it in JSON values."""
        sources = [
            {"source": name, "first_ts": span.first_ts, "last_ts": span.last_ts, "rows": span.rows}
            for name, span in self.sources.items()
        ]
        return {"sources": sources, "parents": list(self.parents)}

    def _add(self, name: str, first: int, last: int, rows: int) -> None:
        known = name if name in self.sources or len(self.sources) < MAX_SOURCES - 1 else ""
        span = self.sources.setdefault(known, Span(first, last))
        span.first_ts, span.last_ts = min(span.first_ts, first), max(span.last_ts, last)
        span.rows += rows
