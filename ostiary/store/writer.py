"""The one object that writes the store.

Guarantees: each call is one transaction, flushed to disk when it returns; a decision that is there already is left as
it is; entities and actions take their newest state; no table grows beyond its limit, and what is pruned (the oldest,
but an active action last) is counted. A crash at any moment leaves the last finished call. It never asks what time it
is.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any  # JSON values

from ostiary.store import rows
from ostiary.store.errors import StoreMisuseError
from ostiary.store.link import WriteLink
from ostiary.store.reader import Reader
from ostiary.store.records import (
    ActionRecord,
    DecisionRecord,
    DeepLookRecord,
    EntityRecord,
    LabelRecord,
    Limits,
    Progress,
    RunRecord,
    ShadowDifference,
)

_OLDEST = {
    "run": "number",
    "entity": "(SELECT number FROM run WHERE run.id = entity.run_id), ts",
    "decision": "number",
    "action": "state = 'active', number",
    "shadow_difference": "number",
    "label": "withdrawn_ns = 0, number",
    "position": "updated_ns",
    "deep_look": "number",
}
_COUNTED = {
    "run": "runs", "entity": "entities", "decision": "decisions", "action": "actions",
    "shadow_difference": "shadow_differences", "label": "labels", "position": "positions", "deep_look": "deep_looks",
}  # fmt: skip


def _insert(table: str, columns: str, rest: str = "") -> str:
    marks = ", ".join("?" * len(columns.split(", ")))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) {rest}"  # noqa: S608 - constants only


def _newer(columns: str, key: str) -> str:
    changed = [column for column in columns.split(", ") if column not in key.split(", ")]
    return f"ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(f"{column} = excluded.{column}" for column in changed)


class Store(Reader):
    """Reads and writes the store; use it as a context manager or close it."""

    def __init__(self, link: WriteLink, limits: Limits) -> None:
        super().__init__(link)
        self._writer = link
        self._limits = {
            "run": limits.runs, "entity": limits.entities, "decision": limits.decisions, "action": limits.actions,
            "shadow_difference": limits.shadow_differences, "label": limits.labels, "position": limits.positions,
            "deep_look": limits.deep_looks,
        }  # fmt: skip
        if min(self._limits.values()) < 1:
            raise StoreMisuseError("limits of the store are at least 1")
        with link.transaction() as connection:
            self._sizes = {table: _count(connection, table) for table in self._limits}

    @classmethod
    def create(cls, path: Path, limits: Limits | None = None) -> "Store":
        """Open to write, creating (0600) or upgrading the file where needed; raise `StoreError`."""
        link = WriteLink(path)
        try:
            return Store(link, limits or Limits())
        except BaseException:
            link.close()
            raise

    def begin_run(self, run: RunRecord) -> None:
        """Record that a run begins; raise `StoreMisuseError` where its id is taken."""
        with self._writer.transaction() as connection:
            connection.execute(_insert("run", rows.RUN_COLUMNS), rows.run_row(run))
            size = self._prune(connection, "run", self._sizes["run"] + 1)
        self._sizes["run"] = size

    def finish_run(
        self, run_id: str, finished_ns: int, sources: Sequence[Mapping[str, Any]], model_revision: str = ""
    ) -> None:
        """Record the end of a run, the last counters of its sources and its last model revision, where it has one."""
        sql = (
            "UPDATE run SET finished_ns = ?, sources = ?, model_revision = coalesce(nullif(?, ''), model_revision)"
            " WHERE id = ?"
        )
        values = (finished_ns, rows.to_json([dict(source) for source in sources]), model_revision, run_id)
        with self._writer.transaction() as connection:
            if connection.execute(sql, values).rowcount != 1:
                raise StoreMisuseError(f"there is no run {run_id!r} to finish")

    def put_entities(self, entities: Iterable[EntityRecord]) -> None:
        """Keep the newest assessment of each entity of its run."""
        sql = _insert("entity", rows.ENTITY_COLUMNS, _newer(rows.ENTITY_COLUMNS, "run_id, pseudonym"))
        self._put("entity", sql, map(rows.entity_row, entities))

    def put_progress(self, progress: Progress) -> None:
        """Keep how far the sources of a run have come."""
        with self._writer.transaction() as connection:
            size = self._progress(connection, progress)
        self._sizes["position"] = size

    def _progress(self, connection: sqlite3.Connection, progress: Progress) -> int:
        sources = rows.to_json([dict(source) for source in progress.sources])
        connection.execute("UPDATE run SET sources = ? WHERE id = ?", (sources, progress.run_id))
        sql = _insert("position", rows.POSITION_COLUMNS, _newer(rows.POSITION_COLUMNS, "name"))
        before = connection.total_changes
        connection.executemany(sql, map(rows.position_row, progress.positions))
        return self._prune(connection, "position", self._sizes["position"] + connection.total_changes - before)

    def put_decisions(
        self,
        decisions: Iterable[DecisionRecord],
        sealed: Iterable[bytes] = repeat(b""),
        progress: Progress | None = None,
    ) -> None:
        """Append decisions with their encrypted personal fields; those that their run has already are ignored.

        How far the sources had been read for them is written in the same transaction: what has been decided on isn't
        read again, and what hasn't been is.
        """
        sql = _insert("decision", f"{rows.DECISION_COLUMNS}, {rows.SEALED}", "ON CONFLICT (id, run_id) DO NOTHING")
        pairs = zip(decisions, sealed, strict=False)
        values = ((*rows.decision_row(decision), bytes_) for decision, bytes_ in pairs)
        self._put("decision", sql, values, progress)

    def put_label(self, label: LabelRecord) -> None:
        """Keep a label, or its newest state."""
        sql = _insert("label", rows.LABEL_COLUMNS, _newer(rows.LABEL_COLUMNS, "id"))
        self._put("label", sql, [rows.label_row(label)])

    def put_deep_looks(self, found: Iterable[DeepLookRecord]) -> None:
        """Append what deep looks found."""
        self._put("deep_look", _insert("deep_look", rows.DEEP_LOOK_COLUMNS), map(rows.deep_look_row, found))

    def put_actions(self, actions: Iterable[ActionRecord]) -> None:
        """Keep the newest state of each action of its run."""
        sql = _insert("action", rows.ACTION_COLUMNS, _newer(rows.ACTION_COLUMNS, "id, run_id"))
        self._put("action", sql, map(rows.action_row, actions))

    def put_shadow(
        self, run_id: str, totals: Mapping[tuple[str, str], int], differences: Iterable[ShadowDifference]
    ) -> None:
        """Add to a run's counts, by (shadow's revision, "same" | "different" | "failed"), and append differences."""
        sql = (
            "INSERT INTO shadow_total VALUES (?, ?, ?, ?)"
            " ON CONFLICT (run_id, shadow_revision, outcome) DO UPDATE SET count = count + excluded.count"
        )
        with self._writer.transaction() as connection:
            values = [(run_id, revision, outcome, count) for (revision, outcome), count in totals.items()]
            connection.executemany(sql, values)
        self._put(
            "shadow_difference", _insert("shadow_difference", rows.SHADOW_COLUMNS), map(rows.shadow_row, differences)
        )

    def _put(self, table: str, sql: str, values: Iterable[tuple[Any, ...]], progress: Progress | None = None) -> None:
        sizes = {}
        with self._writer.transaction() as connection:
            before = connection.total_changes
            connection.executemany(sql, values)
            sizes[table] = self._prune(connection, table, self._sizes[table] + connection.total_changes - before)
            if progress is not None:
                sizes["position"] = self._progress(connection, progress)
        self._sizes.update(sizes)

    def _prune(self, connection: sqlite3.Connection, table: str, size: int) -> int:
        """Keep the table within its limit; `size` is an upper bound (upserts count as rows) and so is the answer."""
        limit = self._limits[table]
        if size <= limit:
            return size
        size = _count(connection, table)
        if size <= limit:
            return size
        # A little more than needed goes at once, so that a full table isn't counted anew for each batch.
        excess = size - limit + limit // 50
        before = {kind: _count(connection, kind) for kind in _COUNTED} if table == "run" else {table: size}
        connection.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY {_OLDEST[table]} LIMIT ?)",  # noqa: S608 - constants only
            (excess,),
        )
        for kind, rows_before in before.items():
            lost = rows_before - _count(connection, kind) if table == "run" else excess
            connection.execute("UPDATE pruned SET count = count + ? WHERE kind = ?", (lost, _COUNTED[kind]))
        return size - excess


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - constants only
