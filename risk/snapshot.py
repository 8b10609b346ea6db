"""The state of the whole risk engine as bytes: windows, watchers, models, ledger, relations; and back.

    b"OSTIARY-RISK 1\n" + zip: document.json, then one .npy an array (never pickled)

Guarantees: a restored engine finds in the rest of a stream what the undisturbed one finds; the bytes of equal states
are equal, and their SHA-256 is the state's digest; only an engine of the same code version and settings takes a state
up. It is no protection against a forger, nor does it hide anybody: whoever writes it to disk seals it
(`ostiary.warm`). Labels aren't in it: they are kept by themselves and heard again.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.codec import Filler, Writer
from risk.errors import RiskError, SnapshotError

MAGIC = b"OSTIARY-RISK 1\n"
MAX_BYTES = 4 << 30
"""Unpacked; more is damage or malice."""
TABLES = "tables"
"""Where a document keeps the names of classes and entities."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state, copied out of an engine that goes on."""

    base: str
    """Digest of the code version and the settings that it belongs to."""
    document: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def digest(self) -> str:
        """SHA-256 of the state, the first 32 hex digits."""
        found = hashlib.sha256(_json(self.base, self.document))
        for name in sorted(self.arrays):
            array = self.arrays[name]
            found.update(f"{name} {array.dtype.str} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data if array.size else b"")
        return found.hexdigest()[:32]


def take(base: str, parts: Mapping[str, object]) -> Snapshot:
    """Copy parts of an engine, by name; raise `SnapshotError` for what has no form."""
    writer = Writer()
    try:
        document = {name: writer.write(part) for name, part in parts.items()}
    except RecursionError as error:
        raise SnapshotError("the state is nested too deeply") from error
    document[TABLES] = writer.tables
    return Snapshot(base, document, {name: array.copy() for name, array in writer.arrays.items()})


def fill(snapshot: Snapshot, base: str, fresh: Mapping[str, object]) -> dict[str, object]:
    """Return the parts of a snapshot, made from fresh ones, which are used up; raise `SnapshotError`."""
    if snapshot.base != base:
        raise SnapshotError("the state belongs to another version of Ostiary or to other settings of risk")
    if set(snapshot.document) != {*fresh, TABLES}:
        raise SnapshotError("the state has other parts than this engine")
    try:
        filler = Filler(snapshot.arrays, snapshot.document[TABLES])
        return {name: filler.fill(snapshot.document[name], part) for name, part in fresh.items()}
    except RiskError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise SnapshotError(f"the state is damaged: {type(error).__name__}") from error


def pack(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes."""
    out = io.BytesIO()
    out.write(MAGIC)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_entry("document.json"), _json(snapshot.base, snapshot.document))
        for name in sorted(snapshot.arrays):
            with archive.open(_entry(f"{name}.npy"), "w") as file:
                np.lib.format.write_array(file, snapshot.arrays[name], allow_pickle=False)
    return out.getvalue()


def unpack(data: bytes) -> Snapshot:
    """Return the snapshot in bytes; raise `SnapshotError`."""
    if not data.startswith(MAGIC):
        raise SnapshotError("this is no state of the risk engine, or one of another version")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_BYTES:
                raise SnapshotError("the state is too large")
            document = json.loads(archive.read("document.json"))
            arrays = {
                item.filename.removesuffix(".npy"): _array(archive.read(item))
                for item in archive.infolist()
                if item.filename.endswith(".npy")
            }
        return Snapshot(str(document["base"]), dict(document["parts"]), arrays)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, OSError, RecursionError, NotImplementedError,
            MemoryError, zlib.error) as error:  # fmt: skip
        raise SnapshotError(f"the state is damaged: {type(error).__name__}") from error
    except zipfile.LargeZipFile as error:
        raise SnapshotError("the state is too large") from error


def _array(data: bytes) -> NDArray[Any]:
    found: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return found


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = 1  # type: ignore[attr-defined]  # ZipInfo has no other way to say it before 3.13
    return entry


def _json(base: str, document: Mapping[str, Any]) -> bytes:
    return json.dumps({"base": base, "parts": document}, separators=(",", ":")).encode()
