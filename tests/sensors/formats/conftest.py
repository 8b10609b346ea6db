"""Opening vectors and reading batches back as plain rows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import TEXT_COLUMNS, Batch, Source

NOW = 1_795_600_000_000_000_000  # 2026-11-25


def _rows(batch: Batch) -> Iterator[dict[str, Any]]:
    for kind, table in batch.tables.items():
        texts = TEXT_COLUMNS[kind]
        for row in table:
            named = {name: row[name].item() for name in table.dtype.names}
            yield {"kind": str(kind)} | {n: batch.texts[v] if n in texts else v for n, v in named.items()}


def _read(path: Path, format_name: str = "") -> tuple[Source, list[dict[str, Any]]]:
    source = open_source(Input(path, path.name, SensorSettings(), NOW), format_name)
    rows = [row for batch in source.batches() for row in _rows(batch)]
    return source, sorted(rows, key=lambda row: row["seq"])


@pytest.fixture
def read() -> Callable[..., tuple[Source, list[dict[str, Any]]]]:
    """Read a log file whole: its source and its rows as dictionaries, in the order of the lines."""
    return _read
