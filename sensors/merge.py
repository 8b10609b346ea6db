"""Bring several sources into one order of event time.

Guarantees: rows come out sorted by (ts, source, seq), whatever the sizes of the batches that came in; a row is held
back until every source has promised, by its watermark, that nothing earlier will follow. Rows that break the promise of
their own source are placed in the next batch with their time stamp kept.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sensors.values import DTYPES, TEXT_COLUMNS, Batch, Kind, Rows

END_OF_TIME = 2**63 - 1


class _Feed:
    """One source being merged: the batches that have come in and aren't yet passed on whole."""

    def __init__(self, index: int, batches: Iterator[Batch]) -> None:
        self.index = index
        self._batches = batches
        self.pending: list[Batch] = []
        self.watermark = -END_OF_TIME

    def pull(self) -> None:
        """Take the next batch; at the end the watermark is the end of time."""
        batch = next(self._batches, None)
        if batch is None:
            self.watermark = END_OF_TIME
            return
        self.watermark = max(self.watermark, batch.watermark)
        if len(batch):
            self.pending.append(batch)

    def take(self, limit: int) -> list[Batch]:
        """Remove and return all rows with ts < limit."""
        ready, kept = [], []
        for batch in self.pending:
            before, after = _split(batch, limit)
            if len(before):
                ready.append(before)
            if len(after):
                kept.append(after)
        self.pending = kept
        return ready


def _split(batch: Batch, limit: int) -> tuple[Batch, Batch]:
    masks = {kind: rows["ts"] < limit for kind, rows in batch.tables.items()}
    before = {kind: rows[masks[kind]] for kind, rows in batch.tables.items()}
    after = {kind: rows[~masks[kind]] for kind, rows in batch.tables.items()}
    return (
        Batch(batch.sources, batch.watermark, before, batch.texts),
        Batch(batch.sources, batch.watermark, after, batch.texts),
    )


def merge(names: Sequence[str], streams: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Merge the streams of batches of single sources; row column `source` becomes the index into `names`."""
    feeds = [_Feed(index, stream) for index, stream in enumerate(streams)]
    passed = -END_OF_TIME
    while feeds:
        slowest = min(feeds, key=lambda feed: feed.watermark)
        slowest.pull()
        limit = min(feed.watermark for feed in feeds)
        if limit > passed:
            passed = limit
            batch = join(names, [(feed.index, part) for feed in feeds for part in feed.take(limit)], limit)
            if len(batch):
                yield batch
        feeds = [feed for feed in feeds if feed.watermark < END_OF_TIME or feed.pending]


def join(names: Sequence[str], parts: Sequence[tuple[int, Batch]], watermark: int) -> Batch:
    """Return one batch of all rows of `parts` (index of the source, its batch), in (ts, source, seq) order."""
    texts: list[str] = [""]
    tables: dict[Kind, list[Rows]] = {}
    for index, part in parts:
        offset = len(texts) - 1
        texts.extend(part.texts[1:])
        for kind, rows in part.tables.items():
            if len(rows):
                tables.setdefault(kind, []).append(_relabel(kind, rows, index, offset))
    joined = {kind: _sorted(np.concatenate(rows)) for kind, rows in tables.items()}
    return Batch(tuple(names), watermark, {kind: joined[kind] for kind in DTYPES if kind in joined}, texts)


def _relabel(kind: Kind, rows: Rows, source: int, offset: int) -> Rows:
    rows = rows.copy()
    rows["source"] = source
    for column in TEXT_COLUMNS[kind]:
        codes = rows[column]
        codes[codes > 0] += offset
    return rows


def _sorted(rows: Rows) -> Rows:
    return rows[np.lexsort((rows["seq"], rows["source"], rows["ts"]))]
