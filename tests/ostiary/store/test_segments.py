"""The history as Parquet: others read it, whatever crashes each decision is in it once, and it is bounded."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ostiary.store import DecisionRecord, Limits, Reader, RunRecord, Store, StoreCorruptError
from ostiary.store.segments import STATE, Exported, Segments

DAY = 86_400_000_000_000
Make = Callable[..., DecisionRecord]


@pytest.fixture
def segments(tmp_path: Path) -> Segments:
    return Segments(tmp_path / "decisions")


def filled(store: Store, make: Make, count: int, step: int = DAY // 10) -> Reader:
    document = {"resource": {"kind": "http", "name": "/shop/"}, "action": "GET", "risk": {"risk": 0.5}}
    store.put_decisions([make(number, ts=number * step, document=document) for number in range(count)], [b"x"] * count)
    return store


def asked(folder: Path, sql: str) -> list[tuple[object, ...]]:
    files = f"'{folder}/**/*.parquet'"
    return duckdb.sql(sql.replace("history", f"read_parquet({files}, hive_partitioning=true)")).fetchall()


def test_duckdb_reads_it_by_day(store: Store, make_decision: Make, segments: Segments, tmp_path: Path) -> None:
    segments.write(filled(store, make_decision, 25).archive(0, 100))
    found = asked(tmp_path / "decisions", "SELECT day::text, count(*) FROM history GROUP BY 1 ORDER BY 1")
    assert found == [("1970-01-01", 10), ("1970-01-02", 10), ("1970-01-03", 5)]
    row = asked(
        tmp_path / "decisions",
        "SELECT id, route, action, verdict, reasons[1], risk, sealed, epoch_ns(ts) FROM history WHERE number = 12",
    )
    assert row == [(f"{11:032x}", "/shop/", "GET", "throttle", "risk.high", 0.5, b"x", 11 * DAY // 10)]
    assert not list((tmp_path / "decisions").rglob(".*"))


def test_parts_follow_each_other_and_nothing_comes_twice(
    store: Store, make_decision: Make, segments: Segments, tmp_path: Path
) -> None:
    reader = filled(store, make_decision, 25)
    while found := reader.archive(segments.exported().last, 7):
        segments.write(found)
    assert segments.exported() == Exported(25, 0)
    assert asked(tmp_path / "decisions", "SELECT count(*), count(DISTINCT number) FROM history") == [(25, 25)]


def test_a_part_that_was_cut_off_is_written_again(
    store: Store, make_decision: Make, segments: Segments, tmp_path: Path
) -> None:
    reader = filled(store, make_decision, 25)
    segments.write(reader.archive(0, 12))
    (tmp_path / "decisions" / STATE).unlink()  # the files were there, and then the power went
    segments.write(reader.archive(0, 20))
    segments.write(reader.archive(20, 20))
    assert asked(tmp_path / "decisions", "SELECT count(*), count(DISTINCT number) FROM history") == [(25, 25)]


def test_another_store_does_not_overwrite(make_decision: Make, segments: Segments, tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        with Store.create(tmp_path / run / "store.sqlite") as store:
            store.begin_run(RunRecord(run, 1, "run"))
            store.put_decisions([make_decision(number, run_id=run) for number in range(5)])
            segments.write(store.archive(0, 10))
    assert asked(tmp_path / "decisions", "SELECT count(*) FROM history") == [(10,)]


def test_what_was_pruned_before_is_counted(make_decision: Make, segments: Segments, tmp_path: Path) -> None:
    with Store.create(tmp_path / "store.sqlite", Limits(decisions=10)) as store:
        store.begin_run(RunRecord("r1", 1, "run"))
        store.put_decisions([make_decision(number) for number in range(30)])
        left = store.archive(0, 100)
        assert segments.write(left) == Exported(30, 30 - len(left))


def test_old_days_go(store: Store, make_decision: Make, segments: Segments, tmp_path: Path) -> None:
    segments.write(filled(store, make_decision, 50).archive(0, 100))
    assert segments.forget(5 * DAY, keep_days=2) == 3
    assert sorted(path.name for path in (tmp_path / "decisions").glob("day=*")) == ["day=1970-01-04", "day=1970-01-05"]


def test_a_damaged_state_is_told(segments: Segments, tmp_path: Path) -> None:
    (tmp_path / "decisions").mkdir()
    for text in ("{", "[]", json.dumps({"last": 1, "more": 2})):
        (tmp_path / "decisions" / STATE).write_text(text)
        with pytest.raises(StoreCorruptError):
            segments.exported()
