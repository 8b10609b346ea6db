"""The rows of one call while they are gathered, with their texts; and dictionaries of the latest so many keys."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import numpy as np

from sensors.values import COMMAND, FILE, HTTP, TLS, Kind, Rows

DTYPES: Final[Mapping[Kind, "np.dtype[np.void]"]] = {
    Kind.HTTP: HTTP, Kind.TLS: TLS, Kind.FILE: FILE, Kind.COMMAND: COMMAND,
}  # fmt: skip
"""What is told of payloads."""

K = TypeVar("K")
V = TypeVar("V")


class Latest(OrderedDict[K, V]):
    """A dictionary of the latest so many keys."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class Texts:
    """The texts of one batch, each once; 0 is the empty text."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {"": 0}

    def code(self, text: str) -> int:
        """Return the index of a text."""
        return self._codes.setdefault(text, len(self._codes))

    def all(self) -> tuple[str, ...]:
        """Return the texts by index."""
        return tuple(self._codes)


class Told:
    """Rows as tuples, by kind, until they are put in order."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self._rows: dict[Kind, list[tuple[Any, ...]]] = {kind: [] for kind in DTYPES}  # numbers of several widths

    def add(self, kind: Kind, ts: int, number: int, *columns: int) -> None:
        """Add a row; `columns` are those after the first three."""
        self._rows[kind].append((ts, number, 0, *columns))

    def codes(self, *names: str) -> list[int]:
        """Return the codes of texts."""
        return [self.texts.code(name) for name in names]

    def tables(self) -> dict[Kind, Rows]:
        """Return all rows, in (ts, seq) order."""
        tables = {kind: np.array(rows, DTYPES[kind]) for kind, rows in self._rows.items()}
        return {kind: rows[np.lexsort((rows["seq"], rows["ts"]))] for kind, rows in tables.items()}
