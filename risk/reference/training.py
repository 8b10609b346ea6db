"""Rows to train a reference from: the features of finished flows, as the engine's models would see them.

rows = np.concatenate([gather(capture_batches, RiskSettings()) for capture_batches in captures])
reference = Reference.fit(rows, MODELS, about="three days of the office network")
"""

from collections.abc import Iterable, Iterator

import numpy as np

from risk.detectors.base import Matrix
from risk.settings import RiskSettings
from risk.windows import INDEX, MODELS, FlowWindows
from sensors.values import Batch, Kind, Rows

COLUMNS = tuple(INDEX[name] for name in MODELS)
CHUNK = 16384
FRESH_NS = 1_200_000_000_000


def gather(batches: Iterable[Batch], settings: RiskSettings) -> Matrix:
    """Return the raw features (rows, `MODELS`) of all flows that ended; (0, ...) for none.

    Windows begin empty, and anew after each `FRESH_NS` of event time, so that a reference knows how the first minutes
    look and doesn't take them for strange.
    """
    windows, began = FlowWindows(settings), 0
    parts = [np.zeros((0, len(COLUMNS)))]
    for batch in batches:
        rows = batch.tables.get(Kind.FLOW)
        for part in _stretches(rows) if rows is not None else ():
            if part["ts"][0] - began >= FRESH_NS:
                windows, began = FlowWindows(settings), int(part["ts"][0])
            view = windows.advance(part, batch.sources)
            parts.append(np.asarray(view.matrix[view.ended][:, COLUMNS], np.float64))
    return np.concatenate(parts)


def _stretches(rows: Rows) -> Iterator[Rows]:
    """Cut rows each `CHUNK`, and where event time passes a tenth of `FRESH_NS`."""
    tenth = rows["ts"] // (FRESH_NS // 10)
    edges = np.union1d(np.flatnonzero(np.diff(tenth)) + 1, np.arange(CHUNK, len(rows), CHUNK))
    return (part for part in np.split(rows, edges) if len(part))
