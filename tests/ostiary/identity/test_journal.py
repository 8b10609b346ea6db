"""The journal: what one process says the others hear, whatever happens to it or to the file."""

import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ostiary.identity import journal as module
from ostiary.identity.journal import Journal
from policy.identity.signals import Signals
from policy.identity.values import Signal, SignalKind

KEY = b"k" * 32
Opened = Callable[..., Journal]


def revoked(name: str, at_s: int | None = None) -> Signal:
    return Signal(SignalKind.REVOKED, f"user:{name}", int(time.time()) if at_s is None else at_s)


def marked(kind: SignalKind, about: str, value: str = "") -> Signal:
    return Signal(kind, about, int(time.time()), value)


@pytest.fixture
def opened(path: Path) -> Iterator[Opened]:
    """Return what opens the journal as one more process does."""
    made: list[Journal] = []

    def make(key: bytes = KEY) -> Journal:
        made.append(Journal(path, key))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signals"


def seen(journal: Journal) -> Signals:
    """Return what was done, as whoever decides sees it."""
    found: list[Signals] = []

    def look(marks: Signals) -> list[Signal]:
        found.append(marks)
        return []

    journal.change(look)
    return found[0]


def test_what_one_writes_the_others_hear_once(opened: Opened, path: Path) -> None:
    one, two = opened(), opened()
    assert one.poll() == two.poll() == []
    told = [revoked("alice"), Signal(SignalKind.POSTURE, "device:7", 5, "poor")]
    assert one.change(lambda _: told) == told
    assert two.poll() == told
    assert one.poll() == two.poll() == []
    assert opened().poll() == told


def test_what_was_done_is_for_deciding_and_not_for_hearing(opened: Opened, path: Path) -> None:
    one, two = opened(), opened()
    assert one.change(lambda _: [marked(SignalKind.USED, "user:alice", "7")]) == []
    assert seen(two).find(SignalKind.USED, "user:alice") is not None
    assert two.poll() == []


def test_nobody_without_the_key_reads_it_and_only_its_owner_opens_it(opened: Opened, path: Path) -> None:
    opened().change(lambda _: [revoked("alice")])
    assert b"alice" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    stranger = opened(b"o" * 32)
    assert stranger.poll() == [] and stranger.broken == 1


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 20, 60])
def test_a_record_that_was_cut_costs_nothing_but_itself(opened: Opened, path: Path, cut: int) -> None:
    one = opened()
    one.change(lambda _: [revoked("alice", 1)])
    whole = path.stat().st_size
    one.change(lambda _: [revoked("bob", 2)])
    os.truncate(path, whole + min(cut, path.stat().st_size - whole - 1))
    two = opened()
    assert two.poll() == [revoked("alice", 1)]
    assert two.change(lambda _: [revoked("carol", 3)]) == [revoked("carol", 3)]
    assert opened().poll() == [revoked("alice", 1), revoked("carol", 3)]


def test_a_record_that_was_changed_is_left_out(opened: Opened, path: Path) -> None:
    opened().change(lambda _: [revoked("alice", 1), revoked("bob", 2)])
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    journal = opened()
    assert (journal.poll(), journal.broken) == ([revoked("bob", 2)], 1)


def test_what_is_no_journal_is_begun_anew(opened: Opened, path: Path) -> None:
    path.write_bytes(b"\xff" * 5_000)
    journal = opened()
    assert journal.poll() == []
    assert journal.change(lambda _: [revoked("alice", 1)]) == [revoked("alice", 1)]
    assert opened().poll() == [revoked("alice", 1)]


def test_it_is_written_anew_from_what_counts_and_the_others_follow(
    opened: Opened, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 20_000)
    one, two = opened(), opened()
    one.change(lambda _: [revoked("alice", 1), Signal(SignalKind.USED, "user:old", 1, "7")])
    two.poll()
    for number in range(400):
        one.change(lambda _, number=number: [marked(SignalKind.GUESSED, f"address:{number}")])  # type: ignore[misc]
        assert path.stat().st_size <= 20_000
    assert two.poll() == [revoked("alice", 1)]  # told again, which changes nothing
    assert opened().poll() == [revoked("alice", 1)]
    assert seen(opened()).find(SignalKind.USED, "user:old") is None
    one.change(lambda _: [marked(SignalKind.GUESSED, "user:bob")] * 10)
    for journal in (one, two, opened()):
        assert seen(journal).locked("user:bob", time.time())
        assert not seen(journal).locked("user:carol", time.time())


def test_guesses_are_not_counted_twice_after_it_was_written_anew(opened: Opened, path: Path) -> None:
    one, two = opened(), opened()
    one.change(lambda _: [marked(SignalKind.GUESSED, "user:bob")] * 9)
    assert not seen(two).locked("user:bob", time.time())
    one._write_anew()
    assert not seen(two).locked("user:bob", time.time())


def _mark(path: Path, times: int, won: "multiprocessing.Queue[int]") -> None:
    journal, count = Journal(path, KEY), 0
    for number in range(times):
        taken = False

        def decide(marks: Signals, number: int = number) -> list[Signal]:
            nonlocal taken
            taken = marks.find(SignalKind.USED, f"user:{number}") is None
            return [marked(SignalKind.USED, f"user:{number}", "1")] if taken else []

        journal.change(decide)
        count += taken
    journal.close()
    won.put(count)


def test_of_many_processes_one_is_the_first(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    won: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_mark, args=(path, 40, won)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sum(won.get(timeout=10) for _ in processes) == 40


def test_reading_waits_for_nobody(opened: Opened, path: Path) -> None:
    opened().change(lambda _: [revoked("alice", 1)])
    with Path(f"{path}.lock").open("rb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        assert opened().poll() == [revoked("alice", 1)]
