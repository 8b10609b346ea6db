"""Hand batches from a process that captures to the one that judges, through a pipe.

A message is its length (8 bytes, little-endian), the length of its head (4), the head (JSON: watermark, texts,
counters, rows of each kind) and the rows as they lie in memory; the last one of a process brings its saved flows.
What comes from a process that reads strangers' bytes isn't believed: `receive` checks every length and index, and
raises `CaptureProcessError`; nothing in a message is executed.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from sensors.errors import CaptureProcessError
from sensors.values import DTYPES, TEXT_COLUMNS, Batch, Counters, Fault, Kind

MOST_BYTES: Final = 1 << 30
"""A longer message is refused."""
_LENGTH: Final = 8
_HEAD_LENGTH: Final = 4
COUNTED: Final = tuple(name for name, field in Counters.__dataclass_fields__.items() if field.type is int)

Read = Callable[[int], bytes | None]
"""Return so many bytes, or None where the other side has ended."""


@dataclass(frozen=True, slots=True)
class Message:
    """A batch, how far its process has come, and its saved flows with the last one."""

    batch: Batch
    counters: Counters
    saved: bytes


def pack(batch: Batch, counters: Counters, saved: bytes = b"") -> bytes:
    """Return the message."""
    tables = {kind: np.ascontiguousarray(rows) for kind, rows in batch.tables.items()}
    head = json.dumps(
        {
            "watermark": batch.watermark,
            "texts": list(batch.texts),
            "rows": {kind: len(rows) for kind, rows in tables.items()},
            "counters": {name: getattr(counters, name) for name in COUNTED},
            "faults": [asdict(fault) for fault in counters.faults],
        }
    ).encode()
    parts = [len(head).to_bytes(_HEAD_LENGTH, "little"), head, *(rows.tobytes() for rows in tables.values()), saved]
    return b"".join([sum(map(len, parts)).to_bytes(_LENGTH, "little"), *parts])


def receive(read: Read, source: str) -> Message | None:
    """Read the next message; None where the other side has ended between two."""
    length = read(_LENGTH)
    if length is None:
        return None
    size = int.from_bytes(length, "little")
    content = read(size) if size <= MOST_BYTES else None
    if content is None:
        raise CaptureProcessError(f"{source}: a message of {size} bytes that isn't whole")
    try:
        return _unpacked(content, source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CaptureProcessError(f"{source}: a message that makes no sense ({error!r})") from error


def _unpacked(content: bytes, source: str) -> Message:
    at = _HEAD_LENGTH + int.from_bytes(content[:_HEAD_LENGTH], "little")
    head: dict[str, Any] = json.loads(content[_HEAD_LENGTH:at])  # checked as it is taken apart
    texts = tuple(head["texts"])
    if texts[:1] != ("",) or not all(isinstance(text, str) for text in texts):
        raise ValueError("texts")
    tables = {}
    for name, count in head["rows"].items():
        kind = Kind(name)
        size = DTYPES[kind].itemsize * count
        if count <= 0 or at + size > len(content):
            raise ValueError("rows")
        rows = np.frombuffer(content, DTYPES[kind], count, at).copy()
        if any(len(texts) <= int(rows[column].max()) for column in TEXT_COLUMNS[kind]):
            raise ValueError("index of a text")
        tables[kind] = rows
        at += size
    batch = Batch((source,), int(head["watermark"]), tables, texts)
    return Message(batch, _counters(head["counters"], head["faults"]), content[at:])


def _counters(counted: dict[str, Any], faults: list[dict[str, Any]]) -> Counters:
    counters = Counters()
    for name in COUNTED:
        setattr(counters, name, int(counted[name]))
    counters.faults = [
        Fault(str(fault["code"]), int(fault["offset"]), str(fault["text"]), int(fault["line"])) for fault in faults
    ]
    return counters
