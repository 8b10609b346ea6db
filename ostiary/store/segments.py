"""The history of decisions as Parquet files, by day, for whoever reads tables: DuckDB, pandas, Spark.

    decisions/day=2026-11-25/000000000001-1f0c2a9b.parquet     number and digest of the first decision in it
    decisions/exported.json                                    how far the store has been written out, what is missing

Guarantees: a file is there whole or not at all; a decision of the store is in exactly one file, whatever crashes; what
was pruned before it was written out is counted; names are pseudonyms, or encrypted, as in the store. Days are those of
event time, in UTC. Does not read back: the files are for others.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # rows of SQLite, JSON values, and pyarrow, which has no types

from ostiary.store.errors import StoreCorruptError, StoreUnavailableError
from ostiary.store.records import ArchivedDecision

STATE = "exported.json"
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Exported:
    """How far the store has been written out."""

    last: int = 0
    """Number of the newest decision in a file."""
    missing: int = 0
    """Decisions that were pruned from the store before."""


class Segments:
    """The files in a directory. One process writes at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def exported(self) -> Exported:
        """Return how far the store has been written out; raise `StoreError`."""
        try:
            return Exported(**json.loads((self._directory / STATE).read_bytes()))
        except FileNotFoundError:
            return Exported()
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreCorruptError(f"{self._directory / STATE} is damaged; move the directory away") from error
        except OSError as error:
            raise StoreUnavailableError(f"{self._directory / STATE} cannot be read: {error.strerror}") from error

    def write(self, decisions: Sequence[ArchivedDecision]) -> Exported:
        """Write decisions, in order of their numbers, that follow those written; raise `StoreUnavailableError`.

        Written again after a crash, they replace the files that had been written of them.
        """
        before = self.exported()
        first, last = decisions[0], decisions[-1]
        days: dict[int, list[ArchivedDecision]] = {}
        for decision in decisions:
            days.setdefault(decision.ts // _DAY_NS, []).append(decision)
        digest = hashlib.sha256(f"{first.run_id}\0{first.id}".encode()).hexdigest()[:8]
        try:
            for day, found in days.items():
                self._write_day(day, f"{first.number:012d}-{digest}.parquet", found)
            now = replace(before, last=last.number, missing=before.missing + max(0, first.number - before.last - 1))
            self._replace(self._directory / STATE, json.dumps(asdict(now)).encode())
        except OSError as error:
            raise StoreUnavailableError(f"{self._directory} cannot be written: {error.strerror}") from error
        return now

    def forget(self, now: int, keep_days: int) -> int:
        """Remove the files of days older than `keep_days` before `now` (ns); return how many days went."""
        limit = f"day={_day(now // _DAY_NS - keep_days)}"
        old = [folder for folder in self._directory.glob("day=*") if folder.name < limit]
        for folder in old:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        return len(old)

    def _write_day(self, day: int, name: str, decisions: Sequence[ArchivedDecision]) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]  # it has none
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has none

        folder = self._directory / f"day={_day(day)}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        pq.write_table(_table(decisions), sink, compression="zstd")
        self._replace(folder / name, sink.getvalue().to_pybytes())

    def _replace(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _day(number: int) -> str:
    """Return a day since the epoch as a date; what no calendar holds becomes the last day that one does."""
    try:
        return f"{datetime.fromtimestamp(number * 86_400, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return "9999-12-31"


def _table(decisions: Iterable[ArchivedDecision]) -> Any:
    """Return decisions as columns."""
    import pyarrow as pa

    text, word = pa.string(), pa.dictionary(pa.int32(), pa.string())
    columns: dict[str, tuple[list[Any], Any]] = {
        "number": ([], pa.int64()), "id": ([], text), "run": ([], word), "ts": ([], pa.timestamp("ns", "UTC")),
        "pseudonym": ([], text), "kind": ([], word), "route": ([], word), "action": ([], word), "verdict": ([], word),
        "reasons": ([], pa.list_(text)), "obligations": ([], word), "ttl_s": ([], pa.float64()),
        "risk": ([], pa.float64()), "policy": ([], word), "model": ([], word), "commitment": ([], text),
        "document": ([], text), "sealed": ([], pa.binary()), "evidence": ([], word), "technique": ([], word),
    }  # fmt: skip
    for decision in decisions:
        for value, (values, _) in zip(_row(decision), columns.values(), strict=True):
            values.append(value)
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def _row(decision: ArchivedDecision) -> tuple[Any, ...]:
    document = json.loads(decision.document)
    resource, risk = document.get("resource", {}), document.get("risk", {})
    return (
        decision.number, decision.id, decision.run_id, decision.ts, decision.pseudonym, resource.get("kind", ""),
        resource.get("name", ""), document.get("action", ""), decision.verdict,
        [code for code, _ in json.loads(decision.reasons)], decision.obligations, decision.ttl_s, risk.get("risk"),
        decision.policy_revision, decision.model_revision, decision.commitment, decision.document, decision.sealed,
        decision.reason, decision.technique,
    )  # fmt: skip
