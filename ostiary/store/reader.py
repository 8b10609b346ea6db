"""Questions to the store.

Guarantees: an answer is bounded (`MAX_PAGE` rows); lists are ordered and stable under paging, newest or riskiest first;
what is not there is None or an empty page, never an error. Any number of processes may read while one writes.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from ostiary.store import cursor, rows
from ostiary.store.errors import StoreCorruptError
from ostiary.store.link import Link, ReadLink, Row
from ostiary.store.records import (
    ActionRecord,
    ArchivedDecision,
    DecisionRecord,
    DeepLookRecord,
    EntityRecord,
    LabelRecord,
    Page,
    PastDecision,
    PositionRecord,
    RunRecord,
    ShadowDifference,
    ShadowGroup,
    VerdictTotal,
)

MAX_PAGE = 1000
Record = TypeVar("Record")
_LATEST = "(SELECT id FROM run ORDER BY number DESC LIMIT 1)"


def _page(found: list[Row], limit: int, record: Callable[[Row], Record], key: Callable[[Row], str]) -> Page[Record]:
    """Make a page of rows of which one more than `limit` was asked for."""
    shown = found[:limit]
    return Page(tuple(_decoded(record, row) for row in shown), key(shown[-1]) if len(found) > limit and shown else "")


def _decoded(record: Callable[[Row], Record], row: Row) -> Record:
    """Make a record; a row that SQLite gave but that cannot be one comes from a damaged file."""
    try:
        return record(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreCorruptError("a row of the store is damaged; move its file away and run again") from error


def _capped(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


class Reader:
    """Reads the store; use it as a context manager or close it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    def open(cls, path: Path) -> "Reader":
        """Open to read only, creating nothing; raise `StoreError`."""
        return Reader(ReadLink(path))

    def close(self) -> None:
        """Close it; a closed reader may be closed again."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def runs(self, limit: int = 100) -> tuple[RunRecord, ...]:
        """Return the runs, newest first."""
        sql = f"SELECT {rows.RUN_COLUMNS} FROM run ORDER BY number DESC LIMIT ?"  # noqa: S608 - constants only
        return tuple(_decoded(rows.run_of, row) for row in self._link.query(sql, (_capped(limit),)))

    def latest_run(self) -> RunRecord | None:
        """Return the run that began last."""
        return next(iter(self.runs(limit=1)), None)

    def entities(
        self, run_id: str | None = None, min_risk: float = 0.0, limit: int = 100, after: str = ""
    ) -> Page[EntityRecord]:
        """Return the entities of a run (None: the latest), riskiest first; raise `CursorError`."""
        where, values = f"run_id = {_LATEST if run_id is None else '?'} AND risk >= ?", [run_id, min_risk]
        if run_id is None:
            del values[0]
        if after:
            where += " AND (-risk, pseudonym) > (?, ?)"
            values += cursor.risk_and_name(after)
        sql = f"SELECT {rows.ENTITY_COLUMNS} FROM entity WHERE {where} ORDER BY -risk, pseudonym LIMIT ?"  # noqa: S608 - constants only
        found = self._link.query(sql, (*values, _capped(limit) + 1))
        return _page(found, _capped(limit), rows.entity_of, lambda row: cursor.encode(-row[4], row[1]))

    def entity(self, pseudonym: str, run_id: str | None = None) -> EntityRecord | None:
        """Return one entity, as the given or else the newest run that knows it left it."""
        columns = ", ".join(f"entity.{column}" for column in rows.ENTITY_COLUMNS.split(", "))
        sql = (
            f"SELECT {columns} FROM entity JOIN run ON run.id = entity.run_id WHERE pseudonym = ?1"  # noqa: S608 - constants only
            " AND (?2 IS NULL OR run_id = ?2) ORDER BY run.number DESC LIMIT 1"
        )
        return next((_decoded(rows.entity_of, row) for row in self._link.query(sql, (pseudonym, run_id))), None)

    def decisions(
        self,
        entity: str | None = None,
        verdict: str | None = None,
        limit: int = 100,
        after: str = "",
        run_id: str | None = None,
    ) -> Page[DecisionRecord]:
        """Return decisions of all runs, the newest first, of one pseudonym, verdict or run if given."""
        wanted = {"pseudonym": entity, "verdict": verdict, "run_id": run_id}
        return self._newest("decision", rows.DECISION_COLUMNS, wanted, limit, after, rows.decision_of)

    def deep_looks(self, entity: str, run_id: str) -> tuple[DeepLookRecord, ...]:
        """Return what deep looks into a pseudonym's packets found in a run, the newest first, 100 at most."""
        sql = f"SELECT {rows.DEEP_LOOK_COLUMNS} FROM deep_look WHERE pseudonym = ? AND run_id = ? ORDER BY number DESC LIMIT 100"  # noqa: S608, E501 - constants only
        return tuple(_decoded(rows.deep_look_of, row) for row in self._link.query(sql, (entity, run_id)))

    def decision(self, decision_id: str) -> DecisionRecord | None:
        """Return one decision; where several runs made the same one, that of the newest."""
        sql = f"SELECT {rows.DECISION_COLUMNS} FROM decision WHERE id = ? ORDER BY number DESC LIMIT 1"  # noqa: S608 - constants only
        return next((_decoded(rows.decision_of, row) for row in self._link.query(sql, (decision_id,))), None)

    def known(self, decision_ids: Sequence[str]) -> set[str]:
        """Return those of the decisions that are there."""
        sql = "SELECT id FROM decision WHERE id IN (SELECT value FROM json_each(?))"
        return {str(row[0]) for row in self._link.query(sql, (json.dumps(decision_ids),))}

    def sealed(self, decision_id: str) -> bytes:
        """Return the encrypted personal fields of a decision as `decision` finds it; b"" where it has none."""
        sql = "SELECT sealed FROM decision WHERE id = ? ORDER BY number DESC LIMIT 1"
        return next((bytes(row[0]) for row in self._link.query(sql, (decision_id,))), b"")

    def numbers(self) -> tuple[int, int]:
        """Return the numbers of the oldest and the newest decision; (1, 0) where there is none."""
        ((first, last),) = self._link.query("SELECT coalesce(min(number), 1), coalesce(max(number), 0) FROM decision")
        return int(first), int(last)

    def newest_time(self) -> int:
        """Return the event time (ns) of the decision that is newest by it; 0 where there is none."""
        return int(self._link.query("SELECT coalesce(max(ts), 0) FROM decision")[0][0])

    def history(self, after: int, last: int, since: int = 0) -> tuple[PastDecision, ...]:
        """Return decisions numbered `after` < number <= `last`, not older than `since` (ns): at most `MAX_PAGE`."""
        sql = (
            f"SELECT {rows.HISTORY_COLUMNS} FROM decision WHERE number > ? AND number <= ? AND +ts >= ?"  # noqa: S608 - constants only
            " ORDER BY number LIMIT ?"
        )
        return tuple(_decoded(rows.past_of, row) for row in self._link.query(sql, (after, last, since, MAX_PAGE)))

    def archive(self, after: int, limit: int = MAX_PAGE) -> tuple[ArchivedDecision, ...]:
        """Return the decisions numbered above `after`, in order: at most `limit`, which is not capped."""
        sql = f"SELECT {rows.ARCHIVE_COLUMNS} FROM decision WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608 - constants only
        found = self._link.query(sql, (after, limit))
        return tuple(_decoded(lambda row: ArchivedDecision(*row), row) for row in found)

    def shadow_totals(self, revision: str | None = None) -> dict[str, dict[str, int]]:
        """Return how often each shadow (by revision) gave the same, something different, or failed, in all runs."""
        sql = (
            "SELECT shadow_revision, outcome, sum(count) FROM shadow_total WHERE ?1 IS NULL OR shadow_revision = ?1"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
        found: dict[str, dict[str, int]] = {}
        for shadow, outcome, count in self._link.query(sql, (revision,)):
            found.setdefault(str(shadow), {})[str(outcome)] = int(count)
        return found

    def shadow_groups(self, revision: str) -> tuple[ShadowGroup, ...]:
        """Return how a shadow differed, the most frequent ways first: at most `MAX_PAGE`."""
        sql = (
            "SELECT route, verdict, shadow_verdict, count(*), count(DISTINCT pseudonym) FROM shadow_difference"
            " WHERE shadow_revision = ? GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT ?"
        )
        return tuple(
            _decoded(lambda row: ShadowGroup(*row), row) for row in self._link.query(sql, (revision, MAX_PAGE))
        )

    def shadow_differences(self, revision: str, limit: int = 100, after: str = "") -> Page[ShadowDifference]:
        """Return where a shadow differed, the newest first; raise `CursorError`."""
        wanted: dict[str, str | None] = {"shadow_revision": revision}
        return self._newest("shadow_difference", rows.SHADOW_COLUMNS, wanted, limit, after, rows.shadow_of)

    def actions(
        self, state: str | None = None, limit: int = 100, after: str = "", run_id: str | None = None
    ) -> Page[ActionRecord]:
        """Return actions of all runs, the newest first, of one state or run if given; raise `CursorError`."""
        wanted = {"state": state, "run_id": run_id}
        return self._newest("action", rows.ACTION_COLUMNS, wanted, limit, after, rows.action_of)

    def action(self, action_id: str) -> ActionRecord | None:
        """Return one action; where several runs took the same one, that of the newest."""
        sql = f"SELECT {rows.ACTION_COLUMNS} FROM action WHERE id = ? ORDER BY number DESC LIMIT 1"  # noqa: S608 - constants only
        return next((_decoded(rows.action_of, row) for row in self._link.query(sql, (action_id,))), None)

    def labels(self, in_force: bool = False) -> tuple[LabelRecord, ...]:
        """Return the labels in the order in which they were given, all or those that are in force."""
        where = "WHERE withdrawn_ns = 0 " if in_force else ""
        sql = f"SELECT {rows.LABEL_COLUMNS} FROM label {where}ORDER BY number"  # noqa: S608 - constants only
        return tuple(_decoded(rows.label_of, row) for row in self._link.query(sql))

    def label(self, label_id: str) -> LabelRecord | None:
        """Return one label."""
        sql = f"SELECT {rows.LABEL_COLUMNS} FROM label WHERE id = ?"  # noqa: S608 - constants only
        return next((_decoded(rows.label_of, row) for row in self._link.query(sql, (label_id,))), None)

    def totals(self, run_id: str) -> tuple[VerdictTotal, ...]:
        """Return how a run decided: by verdict and first reason, how often and on how many entities."""
        sql = (
            "SELECT verdict, coalesce(json_extract(reasons, '$[0][1]'), ''), count(*), count(DISTINCT pseudonym)"
            " FROM decision WHERE run_id = ? GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return tuple(VerdictTotal(str(a), str(b), int(c), int(d)) for a, b, c, d in self._link.query(sql, (run_id,)))

    def count_entities(self, run_id: str) -> int:
        """Return how many entities of a run carry evidence."""
        return int(self._link.query("SELECT count(*) FROM entity WHERE run_id = ?", (run_id,))[0][0])

    def judged(self, run_id: str) -> dict[str, int]:
        """Return on how many entities a run gave each verdict."""
        sql = "SELECT verdict, count(DISTINCT pseudonym) FROM decision WHERE run_id = ? GROUP BY 1 ORDER BY 1"
        return {str(verdict): int(count) for verdict, count in self._link.query(sql, (run_id,))}

    def span(self, run_id: str) -> tuple[int, int]:
        """Return the event times (ns) of a run's first and last decision; (0, 0) where there is none."""
        sql = "SELECT coalesce(min(ts), 0), coalesce(max(ts), 0) FROM decision WHERE run_id = ?"
        ((first, last),) = self._link.query(sql, (run_id,))
        return int(first), int(last)

    def timeline(self, run_id: str, start: int, width: int) -> tuple[tuple[int, str, int], ...]:
        """Return (number, verdict, decisions) for stretches of `width` ns of event time from `start` on."""
        sql = (
            "SELECT (ts - ?1) / ?2, verdict, count(*) FROM decision WHERE run_id = ?3 AND ts >= ?1"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return tuple((int(a), str(b), int(c)) for a, b, c in self._link.query(sql, (start, max(1, width), run_id)))

    def positions(self) -> tuple[PositionRecord, ...]:
        """Return how far each source has been judged, the longest known first."""
        sql = f"SELECT {rows.POSITION_COLUMNS} FROM position ORDER BY rowid"  # noqa: S608 - constants only
        return tuple(_decoded(rows.position_of, row) for row in self._link.query(sql))

    def pruned(self) -> dict[str, int]:
        """Return how many rows of each kind were pruned to stay within the limits."""
        return {
            str(kind): int(count) for kind, count in self._link.query("SELECT kind, count FROM pruned ORDER BY kind")
        }

    def check(self) -> tuple[str, ...]:
        """Return what SQLite's integrity check finds wrong; () where all is well. Takes seconds a gigabyte."""
        found = [str(row[0]) for row in self._link.query("PRAGMA integrity_check(20)")]
        found += [f"row {row[1]} of {row[0]} has no run" for row in self._link.query("PRAGMA foreign_key_check")]
        return tuple(line for line in found if line != "ok")

    def _newest(
        self,
        table: str,
        columns: str,
        wanted: dict[str, str | None],
        limit: int,
        after: str,
        record: Callable[[Sequence[object]], Record],
    ) -> Page[Record]:
        given = {column: value for column, value in wanted.items() if value is not None}
        clauses = [f"{column} = ?" for column in given]
        values: list[object] = list(given.values())
        if after:
            clauses.append("number < ?")
            values.append(cursor.row_number(after))
        where = f"WHERE {' AND '.join(clauses)} " if clauses else ""
        sql = f"SELECT {columns}, number FROM {table} {where}ORDER BY number DESC LIMIT ?"  # noqa: S608 - constants only
        found = self._link.query(sql, (*values, _capped(limit) + 1))
        return _page(found, _capped(limit), record, lambda row: cursor.encode(row[-1]))
