"""The file: who may open it, what a crash leaves, what becomes of files that are not ours."""

import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.store import (
    Limits,
    Reader,
    RunRecord,
    Store,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreForeignError,
    StoreFullError,
    StoreNewerError,
    StoreUnavailableError,
    rows,
)
from ostiary.store.link import WriteLink
from ostiary.store.schema import Migration, migrations

Make = Callable[..., Any]

WRITER = """
import itertools, sys
from pathlib import Path
from ostiary.store import DecisionRecord, RunRecord, Store
store = Store.create(Path(sys.argv[1]))
store.begin_run(RunRecord("r", 1, "run"))
def decision(n):
    document = {"x": "y" * 500}
    return DecisionRecord(f"{n:032x}", "r", n, "ip-1", "deny", (("c", "t"),), {}, 1.0, "p", "m", "d", document, seq=n)
numbers = itertools.count()
while True:
    store.put_decisions([decision(next(numbers)) for _ in range(500)])
    print(store.decisions(limit=1).items[0].seq, flush=True)
"""
MIDWAY = """
import sys, time
from pathlib import Path
from ostiary.store import DecisionRecord, RunRecord, Store
store = Store.create(Path(sys.argv[1]))
store.begin_run(RunRecord("r", 1, "run"))
def decisions():
    for n in range(20_000):
        yield DecisionRecord(f"{n:032x}", "r", n, "ip-1", "deny", (), {}, 1.0, "p", "m", "d", {"x": "y" * 500}, seq=n)
    print("midway", flush=True)
    time.sleep(60)
store.put_decisions(decisions())
"""


def listing(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {item.name: (item.stat().st_mtime_ns, item.stat().st_mode, item.read_bytes()) for item in folder.iterdir()}


def start(script: str, path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_all_files_are_private(store: Store, path: Path, make_decision: Make) -> None:
    store.put_decisions([make_decision(1)])
    assert {item.name: stat.S_IMODE(item.stat().st_mode) for item in path.parent.iterdir()} == {
        "store.sqlite": 0o600, "store.sqlite-wal": 0o600, "store.sqlite-shm": 0o600, "store.sqlite.lock": 0o600,
    }  # fmt: skip
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_became_public_is_made_private_again(store: Store, path: Path) -> None:
    store.close()
    path.chmod(0o644)
    Store.create(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_written_is_there_after_closing(store: Store, path: Path, make_decision: Make) -> None:
    store.put_decisions([make_decision(1)])
    store.close()
    store.close()
    with Store.create(path) as again:
        assert again.decisions().items == (make_decision(1),)


def test_only_one_writes(store: Store, path: Path) -> None:
    with pytest.raises(StoreBusyError, match="stop it"):
        Store.create(path)
    store.close()
    Store.create(path).close()


def test_reading_a_file_at_rest_creates_and_changes_nothing(store: Store, path: Path, make_decision: Make) -> None:
    store.put_decisions([make_decision(1)])
    store.close()
    before = listing(path.parent)
    with Reader.open(path) as reader:
        assert reader.decisions().items == (make_decision(1),)
        assert reader.check() == ()
    assert listing(path.parent) == before


def test_reading_what_is_not_there_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="ostiary run"):
        Reader.open(tmp_path / "nothing.sqlite")
    (tmp_path / "empty").touch()
    with pytest.raises(StoreUnavailableError):
        Reader.open(tmp_path / "empty")
    assert [item.name for item in tmp_path.iterdir()] == ["empty"]


def test_a_reader_follows_writers_that_come_and_go(store: Store, path: Path, make_decision: Make) -> None:
    store.close()
    with Reader.open(path) as reader:
        for n in range(4):
            with Store.create(path) as writer:
                writer.put_decisions([make_decision(n)])
                assert reader.decisions().items[0] == make_decision(n)
            assert reader.decisions().items[0] == make_decision(n)


def test_readers_on_threads_beside_a_writer(store: Store, path: Path, make_decision: Make) -> None:
    done = threading.Event()
    failures: list[str] = []

    def read(reader: Reader) -> None:
        while not done.is_set():
            seqs = [decision.seq for decision in reader.decisions(limit=50).items]
            if seqs != sorted(seqs, reverse=True) or (seqs and seqs[0] % 10 != 9):
                failures.append(f"torn: {seqs[:3]}")

    with Reader.open(path) as reader:
        threads = [threading.Thread(target=read, args=(each,)) for each in (reader, reader, store)]
        for thread in threads:
            thread.start()
        for start_at in range(0, 1000, 10):
            store.put_decisions([make_decision(n) for n in range(start_at, start_at + 10)])
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_reader_beside_a_writing_process(path: Path) -> None:
    process = start(WRITER, path)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with Reader.open(path) as reader:
            for _ in range(20):
                newest = reader.decisions(limit=1).items[0].seq
                assert newest % 500 == 499
            promised = int(process.stdout.readline())
            assert reader.decisions(limit=1).items[0].seq >= promised
    finally:
        kill(process)


def test_a_killed_writer_leaves_all_finished_calls_and_nothing_else(path: Path) -> None:
    process = start(WRITER, path)
    assert process.stdout is not None
    promised = max(int(process.stdout.readline()) for _ in range(10))
    kill(process)
    before = sorted(item.name for item in path.parent.iterdir())
    with Reader.open(path) as reader:
        newest = reader.decisions(limit=1).items[0].seq
        assert newest >= promised and newest % 500 == 499
        assert reader.check() == ()
    assert sorted(item.name for item in path.parent.iterdir()) == before
    with Store.create(path) as store:
        assert store.check() == ()
        assert store.decisions(limit=1).items[0].seq == newest
        store.begin_run(RunRecord("next", 2, "run"))


def test_a_writer_killed_midway_leaves_nothing_of_that_call(path: Path) -> None:
    process = start(MIDWAY, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "midway\n"
    kill(process)
    with Store.create(path) as store:
        assert store.check() == ()
        assert store.decisions().items == ()
        assert [run.id for run in store.runs()] == ["r"]


def test_a_file_without_its_shared_memory_is_refused_and_then_recovered(path: Path, tmp_path: Path) -> None:
    process = start(WRITER, path)
    assert process.stdout is not None
    process.stdout.readline()
    kill(process)
    Path(f"{path}-shm").unlink()
    with pytest.raises(StoreUnavailableError, match="-shm"):
        Reader.open(path)
    assert not Path(f"{path}-shm").exists()
    Store.create(path).close()
    Reader.open(path).close()


@pytest.mark.parametrize("content", [b"x", b"# a text\n" * 200, b"\x00" * 4096, bytes(range(256)) * 20])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    for open_it in (Reader.open, Store.create):
        with pytest.raises(StoreForeignError, match="another file"):
            open_it(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE things (name)")
    other.close()
    content = path.read_bytes()
    for open_it in (Reader.open, Store.create):
        with pytest.raises(StoreForeignError, match="another program"):
            open_it(path)
    assert path.read_bytes() == content


def test_a_later_version_is_refused(store: Store, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    for open_it in (Reader.open, Store.create):
        with pytest.raises(StoreNewerError, match="upgrade"):
            open_it(path)


def test_damage_is_told_with_what_to_do(store: Store, path: Path, make_decision: Make) -> None:
    store.put_decisions([make_decision(n) for n in range(500)])
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreCorruptError, match="move it away"), Reader.open(path) as reader:
        reader.decisions()
    with pytest.raises(StoreCorruptError, match="move it away"), Store.create(path) as broken:
        broken.put_decisions([make_decision(n) for n in range(1000, 1500)])


def test_every_cut_of_the_file_gives_a_typed_error_or_an_answer(store: Store, path: Path, make_decision: Make) -> None:
    store.put_decisions([make_decision(n) for n in range(200)])
    store.close()
    content = path.read_bytes()
    for cut in range(1, len(content), 4096 - 37):
        path.write_bytes(content[:cut])
        try:
            with Reader.open(path) as reader:
                reader.decisions()
                reader.check()
        except StoreError as error:
            assert "move" in str(error) or "check" in str(error)


def test_places_that_cannot_be_written_are_typed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError):
        Store.create(tmp_path / "file" / "store.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailableError):
        Store.create(tmp_path / "folder")


def test_no_room_is_typed_and_leaves_the_store_whole(path: Path, make_decision: Make) -> None:
    link = WriteLink(path)
    link.query("PRAGMA max_page_count = 40")
    with Store(link, Limits()) as store:
        store.begin_run(RunRecord("r1", 1, "run"))
        with pytest.raises(StoreFullError, match="disk is full"):
            store.put_decisions([make_decision(n) for n in range(2000)])
        assert store.decisions().items == ()
        assert store.check() == ()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [step.number for step in migrations()] == list(range(1, len(migrations()) + 1))


def test_migrations_apply_in_order_and_once(path: Path) -> None:
    one, *_ = migrations()
    extra = Migration(2, "0002", "CREATE TABLE extra (a TEXT) STRICT; INSERT INTO extra VALUES ('x');")
    WriteLink(path, [one]).close()
    for _ in range(2):
        link = WriteLink(path, [one, extra])
        assert link.query("SELECT a FROM extra") == [("x",)]
        assert link.query("PRAGMA user_version") == [(2,)]
        link.close()


def test_a_migration_that_fails_leaves_the_old_schema(path: Path) -> None:
    one, *_ = migrations()
    WriteLink(path, [one]).close()
    broken = Migration(2, "0002", "CREATE TABLE extra (a TEXT); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StoreError):
        WriteLink(path, [one, broken])
    link = WriteLink(path, [one])
    assert link.query("PRAGMA user_version") == [(1,)]
    assert link.query("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") == [(0,)]
    link.close()


def test_decisions_of_the_first_schema_stay_and_have_nothing_sealed(path: Path, make_decision: Make) -> None:
    one, *_ = migrations()
    link = WriteLink(path, [one])
    old = make_decision(1)
    link.query("INSERT INTO run VALUES (1, 'r1', 1, 'run', '[]', '', '', '', 0)")
    columns = [name for name in rows.DECISION_COLUMNS.split(", ") if name not in ("innocent", "facts")]
    marks = ", ".join("?" * len(columns))
    link.query(f"INSERT INTO decision ({', '.join(columns)}) VALUES ({marks})", rows.decision_row(old)[: len(columns)])
    link.close()
    with Store.create(path) as store:
        assert store.decision(old.id) == old
        assert store.sealed(old.id) == b""
