"""Rows to train a reference from: the features of finished flows, as the engine's models would see them.

rows = np.concatenate([gather(capture_batches, RiskSettings()) for capture_batches in captures])
reference = Reference.fit(rows, MODELS, about="three days of the office network")
"""

from collections.abc import Iterable

import numpy as np

from risk.detectors.base import Matrix
from risk.settings import RiskSettings
from risk.windows import INDEX, MODELS, FlowWindows
from sensors.values import Batch, Kind

COLUMNS = tuple(INDEX[name] for name in MODELS)
CHUNK = 16384


def gather(batches: Iterable[Batch], settings: RiskSettings) -> Matrix:
    """Return the raw features (rows, `MODELS`) of all flows that ended, from empty windows on; (0, ...) for none."""
    windows = FlowWindows(settings)
    parts = [np.zeros((0, len(COLUMNS)))]
    for batch in batches:
        rows = batch.tables.get(Kind.FLOW)
        for start in range(0, 0 if rows is None else len(rows), CHUNK):
            view = windows.advance(rows[start : start + CHUNK], batch.sources)  # type: ignore[index]  # not None here
            parts.append(np.asarray(view.matrix[view.ended][:, COLUMNS], np.float64))
    return np.concatenate(parts)
