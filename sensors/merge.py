"""Bring several sources into one order of event time.

Guarantees: rows come out sorted by (ts, source, seq), whatever the sizes of the batches that came in; a row is held
back until every source has promised, by its watermark, that nothing earlier will follow. Rows that break the promise of
their own source are placed in the next batch with their time stamp kept. A source is asked for more only while it is
the one that the others wait for, and each batch that goes out holds the texts of its own rows and no others.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensors.values import DTYPES, TEXT_COLUMNS, Batch, Kind, Rows

END_OF_TIME = 2**63 - 1


class _Feed:
    """One source being merged: the batches that have come in and aren't yet passed on whole."""

    def __init__(self, index: int, batches: Iterator[Batch]) -> None:
        self.index = index
        self._batches = batches
        self._pending: list[Batch] = []
        self.watermark = -END_OF_TIME
        self.ended = False

    def pull(self) -> None:
        """Take the next batch; at the end the watermark is the end of time."""
        batch = next(self._batches, None)
        if batch is None:
            self.ended, self.watermark = True, END_OF_TIME
            return
        self.watermark = max(self.watermark, batch.watermark)
        if len(batch):
            self._pending.append(batch)

    def take(self, limit: int) -> list[Batch]:
        """Remove and return all rows with ts < limit; the end of time takes everything."""
        if limit == END_OF_TIME:
            ready, self._pending = self._pending, []
            return ready
        halves = [_split(batch, limit) for batch in self._pending]
        self._pending = [after for _, after in halves if len(after)]
        return [before for before, _ in halves if len(before)]


def _split(batch: Batch, limit: int) -> tuple[Batch, Batch]:
    """Cut the tables, which are sorted by ts, at the limit; rows are not copied."""
    cuts = {kind: int(np.searchsorted(rows["ts"], limit)) for kind, rows in batch.tables.items()}
    before = {kind: rows[: cuts[kind]] for kind, rows in batch.tables.items()}
    after = {kind: rows[cuts[kind] :] for kind, rows in batch.tables.items()}
    return (
        Batch(batch.sources, batch.watermark, before, batch.texts),
        Batch(batch.sources, batch.watermark, after, batch.texts),
    )


def merge(names: Sequence[str], streams: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Merge the streams of batches of single sources; row column `source` becomes the index into `names`."""
    feeds = [_Feed(index, stream) for index, stream in enumerate(streams)]
    passed = -END_OF_TIME
    while not all(feed.ended for feed in feeds):
        min((feed for feed in feeds if not feed.ended), key=lambda feed: feed.watermark).pull()
        limit = min(feed.watermark for feed in feeds)
        if limit > passed:
            passed = limit
            batch = join(names, [(feed.index, part) for feed in feeds for part in feed.take(limit)], limit)
            if len(batch):
                yield batch
    rest = join(names, [(feed.index, part) for feed in feeds for part in feed.take(END_OF_TIME)], END_OF_TIME)
    if len(rest):
        yield rest


def join(names: Sequence[str], parts: Sequence[tuple[int, Batch]], watermark: int) -> Batch:
    """Return one batch of all rows of `parts` (index of the source, its batch), in (ts, source, seq) order."""
    texts: list[str] = [""]
    tables: dict[Kind, list[Rows]] = {}
    for index, part in parts:
        codes = _texts_used(part, texts)
        for kind, rows in part.tables.items():
            if len(rows):
                tables.setdefault(kind, []).append(_relabel(kind, rows, index, codes))
    joined = {kind: _sorted(np.concatenate(rows)) for kind, rows in tables.items()}
    return Batch(tuple(names), watermark, {kind: joined[kind] for kind in DTYPES if kind in joined}, texts)


def _texts_used(part: Batch, texts: list[str]) -> NDArray[np.uint32]:
    """Append the texts that the rows of a part use to `texts`; return the new code of each old one."""
    used = np.zeros(len(part.texts), bool)
    for kind, rows in part.tables.items():
        for column in TEXT_COLUMNS[kind]:
            used[rows[column]] = True
    used[0] = False
    codes = np.zeros(len(part.texts), np.uint32)
    old = np.flatnonzero(used)
    codes[old] = np.arange(len(texts), len(texts) + len(old), dtype=np.uint32)
    texts.extend(part.texts[index] for index in old.tolist())
    return codes


def _relabel(kind: Kind, rows: Rows, source: int, codes: NDArray[np.uint32]) -> Rows:
    rows = rows.copy()
    rows["source"] = source
    for column in TEXT_COLUMNS[kind]:
        rows[column] = codes[rows[column]]
    return rows


def _sorted(rows: Rows) -> Rows:
    return rows[np.lexsort((rows["seq"], rows["source"], rows["ts"]))]
