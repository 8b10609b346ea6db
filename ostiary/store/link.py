"""Connections to the database file, for one writer and for any number of readers.

Guarantees: opening to read creates no file and changes none; the writer's files have mode 0600; a second writer is
refused; every error of SQLite comes out as a `StoreError` that says what to do. A link may be used from any thread:
calls are serialised.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol  # Any: values of SQLite rows
from urllib.parse import quote

from ostiary.store.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreForeignError,
    StoreFullError,
    StoreMisuseError,
    StoreUnavailableError,
)
from ostiary.store.schema import Migration, check_ours, migrate, migrations

Row = tuple[Any, ...]
BUSY_TIMEOUT_S = 5.0
_ADVICE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_NOTADB: (StoreForeignError, "is not a database; name another file for the store, or move it away"),
    sqlite3.SQLITE_CORRUPT: (
        StoreCorruptError,
        "is damaged; move it away (the audit log is kept apart and still verifies) and run again, or restore a copy",
    ),
    sqlite3.SQLITE_FULL: (StoreFullError, "cannot grow: the disk is full; make room or lower the limits of the store"),
    sqlite3.SQLITE_BUSY: (StoreBusyError, "is being written to by another process; stop it or wait"),
    sqlite3.SQLITE_CONSTRAINT: (StoreMisuseError, "refused a record: does its run exist?"),
}


class Link(Protocol):
    """Something that answers SQL with rows."""

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows; raise `StoreError`."""
        ...

    def close(self) -> None:
        """Close it; a closed link may be closed again."""
        ...


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into errors of the store."""
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the primary result code (SQLite, "Result and Error Codes").
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        kind, advice = _ADVICE.get(code, (StoreUnavailableError, "cannot be used; check its path, owner and disk"))
        raise kind(f"{path} {advice} ({error})") from error
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be used: {error.strerror or error}") from error


def _connect(path: Path, query: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{query}",
        uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S,
    )  # fmt: skip


class ReadLink:
    """Reads beside a writer, or from a file that nobody has open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._stamp: tuple[object, ...] = ()
        self.query("SELECT 1")

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows; raise `StoreError`."""
        with self._lock, translated(self._path):
            while True:
                connection = self._current()
                try:
                    rows = connection.execute(sql, values).fetchall()
                except sqlite3.DatabaseError:
                    if not self._moved():
                        raise
                else:
                    if not self._moved():
                        return rows

    def close(self) -> None:
        """Close it; a closed link may be closed again and opens anew when it is asked."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _current(self) -> sqlite3.Connection:
        if self._connection is None or self._moved():
            self._drop()
            self._open()
        assert self._connection is not None
        return self._connection

    def _moved(self) -> bool:
        """Say whether a writer has come or gone since the connection was opened.

        Without a -wal file nobody writes, and SQLite could only read by creating one; `immutable` reads the file as it
        lies. That is sound only while it does lie still, so the file is looked at before and after each question.
        """
        return self._stamp != self._look()

    def _look(self) -> tuple[object, ...]:
        status = self._path.stat()
        if Path(f"{self._path}-wal").exists():
            return ("live", status.st_dev, status.st_ino)
        return ("still", status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def _open(self) -> None:
        if not self._path.is_file():
            raise StoreUnavailableError(f"{self._path} does not exist; `ostiary run` or `ostiary up` creates it")
        self._stamp = self._look()
        live = self._stamp[0] == "live"
        if live and not Path(f"{self._path}-shm").exists():
            raise StoreUnavailableError(f"{self._path} was copied without its -shm file; open it once for writing")
        connection = _connect(self._path, "mode=ro" if live else "mode=ro&immutable=1")
        try:
            if not check_ours(connection, str(self._path), migrations()):
                raise StoreUnavailableError(f"{self._path} is empty; `ostiary run` or `ostiary up` fills it")
        except BaseException:
            connection.close()
            raise
        self._connection = connection


class WriteLink:
    """The one connection that writes."""

    def __init__(self, path: Path, steps: Sequence[Migration] = ()) -> None:
        self._path = path
        self._lock = threading.RLock()
        with translated(path):
            self._guard = self._claim()
            try:
                self._connection = self._open(steps or migrations())
            except BaseException:
                os.close(self._guard)
                raise
        self._closed = False

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows; raise `StoreError`."""
        with self._lock, translated(self._path):
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one transaction: all of it is on disk afterwards, or nothing."""
        with self._lock, translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close it and let another writer in; a closed link may be closed again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()
                os.close(self._guard)

    def _claim(self) -> int:
        """Hold the writer's lock: on a file of its own, since closing the database file would drop SQLite's locks."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        guard = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(guard)
            raise StoreBusyError(f"{self._path} is being written to by another process; stop it or wait") from error
        return guard

    def _open(self, steps: Sequence[Migration]) -> sqlite3.Connection:
        if not self._path.exists():
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = _connect(self._path, "mode=rw")
        try:
            check_ours(connection, str(self._path), steps)
            self._path.chmod(0o600)  # SQLite gives -wal and -shm the mode of the database
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            migrate(connection, str(self._path), steps)
        except BaseException:
            connection.close()
            raise
        return connection
