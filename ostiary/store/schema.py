"""The tables, brought up to date by numbered SQL files.

Guarantees: each file of `migrations/` is applied once, in order, whole or not at all; `PRAGMA user_version` is the
number of the last one; a file that is not ours is never changed. A database of a later version is refused.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ostiary.store.errors import StoreForeignError, StoreNewerError

APPLICATION_ID = 0x4F535459


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the steps that ship, in order; their numbers are 1, 2, 3 ..."""
    found = sorted(item.name for item in files("ostiary.store").joinpath("migrations").iterdir())
    folder = files("ostiary.store").joinpath("migrations")
    return tuple(
        Migration(int(name[:4]), name, folder.joinpath(name).read_text("utf-8"))
        for name in found
        if name.endswith(".sql")
    )


def check_ours(connection: sqlite3.Connection, path: str, steps: Sequence[Migration]) -> int:
    """Return the version of the schema (0: an empty file); raise `StoreForeignError` or `StoreNewerError`."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    # SQLite takes a file of a few bytes for an empty database and would write over it.
    scrap = not tables and Path(path).stat().st_size > 0 and not connection.execute("PRAGMA page_count").fetchone()[0]
    if scrap or (owner != APPLICATION_ID and (owner or version or tables)):
        raise StoreForeignError(
            f"{path} is the file of another program; name another file for the store, or move it away"
        )
    if version > len(steps):
        raise StoreNewerError(f"{path} was written by a later version of Ostiary (schema {version}); upgrade Ostiary")
    return version


def migrate(connection: sqlite3.Connection, path: str, steps: Sequence[Migration]) -> None:
    """Apply what is missing. The connection is in autocommit mode (isolation_level None)."""
    for step in steps[check_ours(connection, path, steps) :]:
        # One script, so that a crash leaves either the old schema or the new one with its number.
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}\nPRAGMA user_version = {step.number};\nCOMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
