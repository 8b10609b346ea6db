"""Records on their way: in order, once, over a lost connection, a full memory, a full disk and an end."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import OstiaryError
from ostiary.sidecar import outbox
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.follower import Feed, Follower
from ostiary.sidecar.frames import LOST, RECORDS
from ostiary.sidecar.outbox import FullError, Outbox
from ostiary.sidecar.sealed import SealError, write_sealed
from policy.values import Decision

KEY = bytes(32)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything a hundredth of its size."""
    for name, value in {"IN_MEMORY": 200, "CROWDED": 100, "SPILL": 20, "IN_FLIGHT": 50, "CHUNK": 10}.items():
        monkeypatch.setattr(outbox, name, value)


@pytest.fixture(scope="module")
def decisions(decide: Callable[[int], Decision]) -> list[Decision]:
    return [decide(number) for number in range(300)]


class Box:
    """An outbox, and what its engine got."""

    def __init__(self, folder: Path, name: str = "records-0", counters: Counters | None = None) -> None:
        self.folder, self.counters = folder, counters or Counters()
        self.outbox = Outbox(folder, name, KEY, self.counters)
        self.got: list[int] = []
        self.lost = 0

    def relieve(self) -> None:
        asyncio.run(self.outbox.relieve())

    def send(self) -> list[int]:
        """Send what may be sent now; return the sizes of the frames."""
        sizes = []
        for frame in self.outbox.frames():
            kind, told = frame[4:5], json.loads(frame[5:])
            if kind == LOST:
                self.lost += told["count"]
                continue
            assert kind == RECORDS
            self.got += [row[0] for row in told]
            sizes.append(len(told))
        return sizes

    def send_all(self) -> None:
        """Send and acknowledge until nothing is left."""
        while sizes := self.send():
            for size in sizes:
                self.outbox.taken(size)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.spill"))


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def fill(box: Box, decisions: list[Decision]) -> list[int]:
    for decision in decisions:
        box.outbox.add(decision)
    return [decision.ts for decision in decisions]


def test_records_are_sent_in_order_and_forgotten_when_they_are_durable(box: Box, decisions: list[Decision]) -> None:
    wanted = fill(box, decisions[:75])
    assert box.send() == [10] * 5  # no more may be on their way
    assert (box.send(), len(box.outbox)) == ([], 75)
    box.outbox.taken(10)
    assert (box.send(), len(box.outbox)) == ([10], 65)
    box.send_all()
    box.outbox.taken(50)
    box.send_all()
    assert (box.got, len(box.outbox), box.files()) == (wanted, 0, [])


def test_what_was_not_acknowledged_is_sent_again_first(box: Box, decisions: list[Decision]) -> None:
    wanted = fill(box, decisions[:75])
    box.send()
    box.outbox.taken(20)
    box.outbox.disconnected()
    assert len(box.outbox) == 55
    box.got.clear()
    box.send_all()
    assert box.got == wanted[20:]


def test_more_acknowledged_than_sent_harms_nobody(box: Box, decisions: list[Decision]) -> None:
    wanted = fill(box, decisions[:30])
    box.outbox.taken(1_000)
    box.send_all()
    assert (box.got, len(box.outbox)) == (wanted, 0)


def test_the_oldest_go_over_the_disk_and_come_back_in_order(box: Box, decisions: list[Decision]) -> None:
    wanted = fill(box, decisions[:99])
    box.relieve()
    assert box.files() == []
    wanted += fill(box, decisions[99:160])
    box.relieve()
    assert (len(box.outbox), box.outbox.on_disk, len(box.files())) == (80, 80, 4)
    assert box.counters.total("spilled") == 80
    assert b"alice" not in b"".join(path.read_bytes() for path in box.files())
    box.send_all()
    assert (box.got, box.files(), box.outbox.on_disk, box.lost) == (wanted, [], 0, 0)


def test_a_file_goes_only_when_its_records_are_durable(box: Box, decisions: list[Decision]) -> None:
    wanted = fill(box, decisions[:120])
    box.relieve()
    assert box.send() == [20, 20, 10]
    box.outbox.disconnected()
    assert len(box.files()) == 2
    box.got.clear()
    box.send_all()
    assert (box.got, box.files()) == (wanted, [])


def test_the_order_outlives_a_connection_that_is_lost_while_records_go_to_the_disk(
    box: Box, decisions: list[Decision]
) -> None:
    wanted = fill(box, decisions[:120])
    box.send()  # the oldest, out of memory
    wanted += fill(box, decisions[120:170])
    box.relieve()  # those after them
    box.outbox.taken(30)
    box.outbox.disconnected()
    box.got.clear()
    box.send_all()
    assert box.got == wanted[30:]


def test_memory_that_is_full(box: Box, decisions: list[Decision]) -> None:
    fill(box, decisions[:200])
    box.send()
    for _ in range(2):
        with pytest.raises(FullError) as caught:
            box.outbox.add(decisions[200])
        assert caught.value.code == "gate.record-full"
        box.outbox.disconnected()
    box.relieve()
    box.outbox.add(decisions[200])


def test_a_disk_that_has_had_its_share(box: Box, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = fill(box, decisions[:150])
    monkeypatch.setattr(outbox, "ON_DISK", 1)
    box.relieve()
    assert (len(box.files()), len(box.outbox)) == (1, 130)
    box.send_all()
    assert box.got == wanted
    fill(box, decisions[150:270])
    box.relieve()
    assert len(box.files()) == 1


def full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full(box: Box, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = fill(box, decisions[:150])
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "write_sealed", full)
        box.relieve()
        assert (len(box.outbox), box.files(), box.counters.total("spilled")) == (150, [], 0)
    box.relieve()
    box.send_all()
    assert box.got == wanted


def test_a_fault_of_ours_while_writing_loses_nothing(
    box: Box, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    wanted = fill(box, decisions[:150])
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(outbox, "write_sealed", broken)
        box.relieve()
    box.send_all()
    assert box.got == wanted


def test_a_write_that_is_under_way_when_the_connection_ends_is_not_sent_twice(
    box: Box, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = fill(box, decisions[:119])
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path, key: bytes, chunks: list[bytes]) -> None:
        begun.set()
        assert go_on.wait(60)
        write_sealed(path, key, chunks)

    async def cancelled() -> None:
        relieving = asyncio.create_task(box.outbox.relieve())
        assert await asyncio.to_thread(begun.wait, 60)
        for _ in range(3):
            relieving.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await relieving

    monkeypatch.setattr(outbox, "write_sealed", slow)
    asyncio.run(cancelled())
    assert (len(box.files()), box.outbox.on_disk) == (1, 20)
    box.send_all()
    assert box.got == wanted
    assert Box(box.folder).outbox.on_disk == 0


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "empty"])
def test_a_damaged_file_is_counted_as_lost_and_out_of_the_way(box: Box, decisions: list[Decision], damage: str) -> None:
    wanted = fill(box, decisions[:139])
    box.relieve()
    assert len(box.files()) == 2
    first = box.files()[0]
    data = first.read_bytes()
    if damage == "gone":
        first.unlink()
    else:
        first.write_bytes({"changed": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-1], "empty": b""}[damage])
    box.send_all()
    assert (box.got, box.lost, box.files(), box.outbox.on_disk) == (wanted[20:], 20, [], 0)


def test_a_file_that_cannot_be_read_now_is_read_later(
    box: Box, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(path: Path, _: bytes) -> list[bytes]:
        raise SealError(f"{path}: Too many open files") from OSError(24, "Too many open files")

    wanted = fill(box, decisions[:120])
    box.relieve()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "read_sealed", too_many)
        box.send_all()
    assert (box.got, len(box.files())) == (wanted[40:], 2)
    box.send_all()
    assert (sorted(box.got), box.lost, box.files()) == (wanted, 0, [])


def test_at_the_end_everything_goes_to_the_disk_and_the_next_takes_it_over(box: Box, decisions: list[Decision]) -> None:
    wanted = fill(box, decisions[:120])
    box.relieve()
    wanted += fill(box, decisions[120:145])
    box.send()
    box.outbox.taken(20)
    box.outbox.close()
    (box.folder / "records-0-odd.spill").touch()
    (box.folder / "records-0-000000000001-x.spill").touch()
    other, late = Box(box.folder, "records-00"), Box(box.folder)
    assert (len(late.outbox), late.outbox.on_disk, other.outbox.on_disk) == (0, 125, 0)
    late.send_all()
    assert (late.got, late.lost) == (wanted[20:], 0)
    fill(late, decisions[:150])
    late.outbox.close()
    assert len({path.name for path in late.files()}) == 8 + 2


def test_what_finds_no_room_at_the_end_is_counted(
    box: Box, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(box, decisions[:30])
    monkeypatch.setattr(outbox, "write_sealed", full)
    box.outbox.close()
    assert (box.counters.total("unrecorded"), box.files()) == (30, [])


def test_what_a_process_that_died_had_in_memory_is_told_once_and_before_what_comes_after(
    box: Box, decisions: list[Decision]
) -> None:
    wanted = fill(box, decisions[:120])
    box.relieve()
    late = Box(box.folder, counters=box.counters)  # 80 were in memory and 40 on disk
    fill(late, decisions[120:121])
    first, *frames = late.outbox.frames()
    assert (first[4:5], json.loads(first[5:])) == (LOST, {"count": 80})
    assert [frame[4:5] for frame in frames] == [RECORDS] * 3
    late.outbox.disconnected()
    late.send_all()
    assert (late.got, late.lost) == ([*wanted[:40], decisions[120].ts], 0)
    assert Box(box.folder, counters=box.counters).outbox._lost == 0


def test_records_go_to_the_disk_while_the_engine_is_away(box: Box, decisions: list[Decision]) -> None:
    def never(*_: Any) -> Any:
        raise OstiaryError("nobody tells anything")

    async def follow() -> None:
        follower = Follower(never, never, never, never)  # type: ignore[arg-type]  # nothing comes
        feed = Feed(box.folder / "feed.sock", follower, box.outbox, box.counters, never)
        following = asyncio.create_task(feed.run())
        async with asyncio.timeout(60):
            while len(box.outbox) >= outbox.CROWDED or box.counters.total("waiting_records") >= outbox.CROWDED:
                await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    fill(box, decisions[:150])
    box.counters.put("waiting_records", 150)
    asyncio.run(follow())
    assert len(box.files()) == 3
