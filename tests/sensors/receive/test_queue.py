"""The queue on disk: what was taken comes back once and in order, whatever happens in between."""

import os
import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.receive.queue import MAX_RECORD, Damage, Record, SpillQueue, frame, read_frames

BYTES = 1 << 20


def records(queue: SpillQueue, at: int = 0) -> list[bytes]:
    found = list(queue.read(at))
    assert all(isinstance(item, Record) for item in found), found
    return [item.data for item in found if isinstance(item, Record)]


def test_what_is_taken_is_read_in_order_and_from_any_place(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "q", BYTES)
    texts = [b"%d" % number * 20 for number in range(500)]
    for text in texts[:250]:
        assert queue.append([text])
    assert queue.append(texts[250:], durable=True)
    assert records(queue) == texts
    places = [item.next for item in queue.read(0)]
    assert records(queue, places[99]) == texts[100:]
    queue.close()
    assert records(SpillQueue(tmp_path / "q", BYTES), places[99]) == texts[100:]


def test_it_holds_no_more_than_its_bytes_and_takes_all_or_nothing(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "q", BYTES)
    taken = 0
    while queue.append([b"x" * 1000, b"y" * 1000]):
        taken += 2
    assert 900 < taken <= BYTES // 1000
    assert sum(path.stat().st_size for path in (tmp_path / "q").iterdir()) <= BYTES
    assert len(records(queue)) == taken
    assert queue.append([b"small"])
    middle = [item.next for item in queue.read(0)][taken // 2]
    queue.settle(middle)
    assert queue.append([b"x" * 1000])
    assert len(records(queue, middle)) == taken - taken // 2 - 1 + 2
    queue.close()


def test_segments_go_when_they_are_settled_and_a_place_before_them_is_the_first_one(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "q", BYTES)
    for _ in range(400):
        assert queue.append([b"x" * 1000])
    before = len(list((tmp_path / "q").iterdir()))
    queue.settle(queue.end)
    assert len(list((tmp_path / "q").iterdir())) == 1 < before
    assert records(queue, 0) == records(queue, queue.start)
    queue.close()


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=12), st.data())
def test_damage_costs_only_what_is_damaged(texts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, texts))
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole)
    broken[place] ^= data.draw(st.integers(1, 255))
    found = list(read_frames(bytes(broken), 1000))
    assert any(isinstance(item, Damage) for item in found)
    assert found[0].at == 1000 and found[-1].next == 1000 + len(whole)
    assert all(before.next == after.at for before, after in pairwise(found))
    kept = [item.data for item in found if isinstance(item, Record)]
    intact = [text for text, end in zip(texts, ends(texts), strict=True) if end <= place]
    assert kept[: len(intact)] == intact


def ends(texts: list[bytes]) -> list[int]:
    return [sum(len(frame(text)) for text in texts[: index + 1]) for index in range(len(texts))]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=12), st.data())
def test_what_ends_too_early_keeps_what_is_before(texts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, texts))
    cut = data.draw(st.integers(0, len(whole)))
    found = list(read_frames(whole[:cut], 0))
    kept = [item.data for item in found if isinstance(item, Record)]
    assert kept == [text for text, end in zip(texts, ends(texts), strict=True) if end <= cut]
    assert sum(isinstance(item, Damage) for item in found) == (cut not in (0, *ends(texts)))


def test_a_length_that_lies_costs_no_memory() -> None:
    (damage,) = read_frames(b"\xff\xff\xff\xff" + b"x" * 100, 0)
    assert isinstance(damage, Damage) and damage.next == 104
    assert MAX_RECORD < 1 << 25


def test_a_segment_that_a_crash_left_half_written_is_left_behind(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "q", BYTES)
    assert queue.append([b"one"])
    queue.close()
    (segment,) = (tmp_path / "q").iterdir()
    with segment.open("ab") as stream:
        stream.write(frame(b"half of this")[:-5])
    again = SpillQueue(tmp_path / "q", BYTES)
    assert again.append([b"two"])
    found = list(again.read(0))
    assert [getattr(item, "data", None) for item in found] == [b"one", None, b"two"]
    again.close()


def test_a_disk_that_refuses_leaves_no_half_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = SpillQueue(tmp_path / "q", BYTES)
    assert queue.append([b"one"])
    write = os.write

    def half(handle: int, data: bytes) -> int:
        if len(data) > 4:
            return write(handle, data[:4])
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="no space"):
        queue.append([b"x" * 0])
    monkeypatch.undo()
    assert queue.append([b"two"])
    assert records(queue) == [b"one", b"two"]
    queue.close()


WRITER = """
import sys
from pathlib import Path
from sensors.receive.queue import SpillQueue
queue = SpillQueue(Path(sys.argv[1]), 1 << 24)
number = int(sys.argv[2])
while True:
    assert queue.append([b"%d " % n * 40 for n in range(number, number + 3)])
    number += 3
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kills_at_any_instant(tmp_path: Path, soak: int) -> None:
    rng = random.Random(7)
    number = 0
    for _ in range(4 * soak):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "q"), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(rng.randrange(1, 400))]
            process.send_signal(signal.SIGKILL)
            number = int((told + process.stdout.read().splitlines())[-1])
        queue = SpillQueue(tmp_path / "q", 1 << 24)
        got = [int(text.split()[0]) for text in records(queue)]
        assert got[:number] == list(range(number))
        assert got == list(range(len(got)))  # what wasn't acknowledged is whole or not there
        number = len(got)
        queue.close()
