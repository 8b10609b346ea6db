"""The gate's end of the feed: follows whatever engine comes, and remembers what it heard."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.settings import GateSettings
from ostiary.sidecar import follower
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.follower import Feed, Follower
from ostiary.sidecar.frames import BUNDLE, CLOSED, HELLO, RISKS, SYNCED, TAKEN, FrameError, frame, risk_frames
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.outbox import Outbox
from ostiary.sidecar.routes import Routes
from policy.decide import Decider
from policy.errors import BundleError
from policy.identity import Identities
from risk.standing import Part, Standing
from risk.values import Level
from sensors.entities import Entity, EntityKind

KEY, NOW = bytes(32), 1_764_000_000_000_000_000
STANDINGS = [
    Standing(NOW, Entity(EntityKind.IP, f"192.0.2.{number}"), Level.HIGH, 1.0, (Part("a.b", 0.5, 600.0, 1.0),))
    for number in range(200)
]
TOLD = [frame(HELLO, {"model": "m2"}), *risk_frames(STANDINGS), frame(SYNCED, {"at": NOW})]


class House:
    """A follower, its door, and what it said."""

    def __init__(self, decider: Decider) -> None:
        self.said: list[str] = []
        self.bundles: list[dict[str, Any]] = []
        self.changed: list[Any] = []
        self.counters, self._decider = Counters(), decider
        self.door = Door(Routes(GateSettings(), "closed"), Mirror(), Identities(), lambda _: None, self.counters)
        self.follower = Follower(self.door, self.make, self.changed.append, self.said.append)

    def make(self, bundle: dict[str, Any]) -> Decider:
        if bundle.get("modules") == "broken":
            raise BundleError("does not compile")
        self.bundles.append(bundle)
        return self._decider

    def take(self, *frames: bytes) -> None:
        for each in frames:
            self.follower.take(each[4:5], each[5:])


@pytest.fixture
def make_house(decider: Decider) -> Callable[[], House]:
    return lambda: House(decider)


@pytest.fixture
def house(make_house: Callable[[], House]) -> House:
    return make_house()


def test_risks_count_once_all_are_told(house: House) -> None:
    house.take(*TOLD)
    house.take(*TOLD[:1], *list(risk_frames(STANDINGS[:1])))
    assert len(house.door.mirror) == len(STANDINGS)
    house.take(TOLD[-1])
    assert (len(house.door.mirror), house.door.mirror.revision) == (1, "m2")
    assert (house.counters.total("risks"), house.counters.total("synced_ns")) == (1, NOW)


def test_no_policy_decides_before_the_risks_that_come_with_it_are_known(house: House) -> None:
    bundle = frame(BUNDLE, {"modules": {}, "data": {}, "revision": "r1"})
    house.take(TOLD[0], bundle, *TOLD[1:-1])
    assert house.door.decider is None
    house.take(TOLD[-1])
    assert house.door.decider is not None and len(house.door.mirror) == len(STANDINGS)


def test_a_bundle_that_does_not_compile_leaves_the_one_before_in_force(house: House) -> None:
    for bundle in ({"revision": "r1"}, {"revision": "r1"}, {"revision": "r2", "modules": "broken"}):
        house.take(frame(BUNDLE, bundle))
    assert house.bundles == [{"revision": "r1"}]
    assert house.door.decider is not None
    assert "policy.bundle" in house.said[0]


@pytest.mark.parametrize("kind", [HELLO, BUNDLE, SYNCED, RISKS])
def test_what_is_no_object_is_a_frame_error(house: House, kind: bytes) -> None:
    for payload in (b"7", b'"a"', b"[7]", b"{", b""):
        with pytest.raises(FrameError):
            house.take(b"0000" + kind + payload)


def test_a_snapshot_is_written_by_one_at_a_time_and_read_again(
    house: House, make_house: Callable[[], House], tmp_path: Path
) -> None:
    async def save() -> None:
        saving = []
        for _ in range(3):
            house.follower.changed = True  # while the one before is being written
            saving.append(asyncio.create_task(house.follower.save(tmp_path / "snapshot", KEY)))
            await asyncio.sleep(0)
        saving[0].cancel()
        await asyncio.gather(*saving[1:])
        assert not house.follower.changed
        (tmp_path / "snapshot").rename(tmp_path / "kept")
        await house.follower.save(tmp_path / "snapshot", KEY)  # nothing new
        (tmp_path / "kept").rename(tmp_path / "snapshot")

    house.take(frame(BUNDLE, {"revision": "r1"}), *TOLD)
    asyncio.run(save())
    assert os.listdir(tmp_path) == ["snapshot"]  # noqa: PTH208
    late = make_house()
    assert late.follower.load(tmp_path / "snapshot", KEY)
    assert list(late.door.mirror.standings()) == STANDINGS
    assert (late.bundles, late.door.mirror.synced_ns) == ([{"revision": "r1"}], NOW)
    assert not make_house().follower.load(tmp_path / "snapshot", b"\1" * 32)
    assert not make_house().follower.load(tmp_path / "none", KEY)


POISON = [
    frame(HELLO, []), frame(BUNDLE, {}), frame(BUNDLE, 7), frame(CLOSED, 7), frame(CLOSED, {"count": 1, "at": "a"}),
    frame(SYNCED, {}), frame(SYNCED, {"at": "soon"}),
    b"\0\0\0\x0cS" + b'{"at":1e999}', frame(SYNCED, {"at": 1 << 70}), frame(TAKEN, {"count": None}), frame(TAKEN, 7),
    frame(RISKS, [[]]), b"\0\0\0\1R[", b"\xff\xff\xff\xffR", b"\0\0\0\3S[", b"",
    frame(RISKS, [["ip", "a", 1 << 70, "low", 0.0, [["a", 0.5, 1.0, 1.0]]]]),
]  # fmt: skip


def test_no_engine_ends_the_feed_for_good(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection says something odd, the last one what there is to say."""
    monkeypatch.setattr(follower, "RETRY_S", (0.0, 0.001))
    waiting = list(POISON)

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if waiting:
            writer.write(TOLD[0] + waiting.pop(0))
            await writer.drain()
            if waiting and waiting[0] == b"":
                writer.close()
        else:
            writer.writelines(TOLD)
            await writer.drain()
        await reader.read()
        writer.close()

    async def follow() -> None:
        outbox = Outbox(tmp_path, "records-0", KEY, house.counters)
        feed = Feed(tmp_path / "feed.sock", house.follower, outbox, house.counters, lambda: {"number": 0, "of": 1})
        following = asyncio.create_task(feed.run())
        async with await asyncio.start_unix_server(engine, str(tmp_path / "feed.sock")), asyncio.timeout(60):
            while len(house.door.mirror) != len(STANDINGS):
                assert not following.done(), following.exception()
                await asyncio.sleep(0.001)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    house.make = lambda bundle: house.bundles.append(bundle["modules"])  # type: ignore[method-assign,assign,func-returns-value]  # it raises KeyError
    house.follower = Follower(house.door, house.make, house.changed.append, house.said.append)
    monkeypatch.setattr(follower, "QUIET_S", 0.2)
    asyncio.run(follow())
    assert house.counters.total("feed_lost") >= len(POISON) - 1


def test_a_snapshot_that_fails_is_written_later(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    house.take(*TOLD)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(follower.Sealing, "close", full)
        asyncio.run(house.follower.save(tmp_path / "snapshot", KEY))
    assert list(tmp_path.iterdir()) == []
    asyncio.run(house.follower.save(tmp_path / "snapshot", KEY))
    assert (tmp_path / "snapshot").exists()


def test_it_ends_when_it_is_told_to_whatever_it_is_about(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        outbox = Outbox(tmp_path, "records-0", KEY, house.counters)
        leaving = asyncio.Event()

        async def slow() -> None:  # as a record that is being written to the disk
            try:
                await asyncio.sleep(60)
            finally:
                leaving.set()
                await asyncio.sleep(0.1)

        monkeypatch.setattr(outbox, "relieve", slow)
        engine = await asyncio.start_unix_server(lambda _, writer: writer.close(), str(tmp_path / "feed.sock"))
        feed = Feed(tmp_path / "feed.sock", house.follower, outbox, house.counters, lambda: {"number": 0, "of": 1})
        task = asyncio.get_running_loop().create_task(feed.run())
        await leaving.wait()  # the engine has left, and the sender is on its way
        task.cancel()
        await asyncio.wait_for(asyncio.wait([task]), 20)
        assert task.cancelled()
        engine.close()

    asyncio.run(test())
