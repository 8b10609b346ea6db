"""Files read to their end and files followed through rotation, with real files."""

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensors.errors import UnreadableInputError
from sensors.logs.acquire import Follower, follow_blocks, read_blocks
from sensors.logs.lines import Block
from sensors.values import Counters, never

LIMIT = 1024


def lines_of(blocks: Iterator[Block]) -> list[bytes]:
    return [line for block in blocks for line in block.lines]


def read(path: Path) -> tuple[list[bytes], Counters]:
    counters = Counters()
    return lines_of(read_blocks(path, LIMIT, counters, never)), counters


def test_plain_and_gzip_give_the_same_lines(tmp_path: Path) -> None:
    data = b"".join(b"line %d\n" % number for number in range(50_000)) + b"last"
    plain, packed = tmp_path / "a.log", tmp_path / "a.log.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data[:300_000]) + gzip.compress(data[300_000:]) + b"\0" * 512)
    lines, counters = read(packed)
    assert lines == read(plain)[0] == data.split(b"\n")
    assert counters.bytes == packed.stat().st_size and not counters.faults


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_gzip_gives_what_comes_before_and_one_fault(damage: str, tmp_path: Path) -> None:
    data = b"".join(b"line %d %d\n" % (number, number * 7919 % 1009) for number in range(50_000))
    packed = bytearray(gzip.compress(data))
    middle = len(packed) // 2
    packed = packed[:middle] if damage == "cut" else packed[:middle] + b"\xff" * 64 + packed[middle + 64 :]
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    lines, counters = read(path)
    good = data.split(b"\n")
    right = next(index for index, line in enumerate(lines) if line != good[index])
    assert right > 20_000
    (fault,) = counters.faults
    assert fault.code == "log.gzip" and fault.offset >= len(b"\n".join(good[:right]))
    assert counters.read == counters.malformed == 1


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError):
        read(tmp_path / "missing")
    with pytest.raises(UnreadableInputError):
        read(tmp_path)
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"x\n"))
    with pytest.raises(UnreadableInputError):
        Follower(packed, LIMIT, Counters())


def test_reading_stops_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x\n" * 1_000_000)
    asked = iter([False, False, True])
    blocks = list(read_blocks(path, LIMIT, Counters(), lambda: next(asked, True)))
    assert 0 < sum(len(block.lines) for block in blocks) < 1_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "x.log"
    path.write_bytes(b"old 1\nold 2\n")
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


@pytest.fixture
def follower(log: Path) -> Iterator[Follower]:
    follower = Follower(log, LIMIT, Counters())
    yield follower
    follower.close()


def test_following_begins_at_the_end_and_waits_for_whole_lines(log: Path, follower: Follower) -> None:
    assert lines_of(follower.poll()) == []
    append(log, b"new 1\nnew")
    assert lines_of(follower.poll()) == [b"new 1"]
    append(log, b" 2\n")
    (block,) = follower.poll()
    assert (block.first, block.lines) == (2, [b"new 2"])


def rename(log: Path) -> None:
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"")


def rename_and_delete(log: Path) -> None:
    """The old file is gone and its inode would be free, were it not held open."""
    log.rename(log.with_suffix(".1"))
    log.with_suffix(".1").unlink()
    log.write_bytes(b"")


def copy_and_truncate(log: Path) -> None:
    shutil.copy(log, log.with_suffix(".1"))
    os.truncate(log, 0)


def move_over(log: Path) -> None:
    other = log.with_suffix(".new")
    other.write_bytes(b"")
    other.replace(log)


@pytest.mark.parametrize("rotate", [rename, rename_and_delete, copy_and_truncate, move_over])
def test_rotation_loses_nothing_and_repeats_nothing(
    rotate: Callable[[Path], None], log: Path, follower: Follower
) -> None:
    append(log, b"before\n")
    seen = lines_of(follower.poll())
    rotate(log)
    append(log, b"after 1\n")
    seen += lines_of(follower.poll())
    append(log, b"after 2\n")
    seen += lines_of(follower.poll())
    assert seen == [b"before", b"after 1", b"after 2"]


def test_what_was_written_just_before_a_rename_is_read(log: Path, follower: Follower) -> None:
    append(log, b"last words")
    rename(log)
    append(log, b"first words\n")
    assert lines_of(follower.poll()) == [b"last words", b"first words"]


def test_two_rotations_between_two_polls(log: Path, follower: Follower) -> None:
    append(log, b"one\n")
    rename(log)
    rename(log)
    append(log, b"three\n")
    assert lines_of(follower.poll()) == [b"one", b"three"]


def test_truncated_and_filled_beyond_where_we_were(log: Path, follower: Follower) -> None:
    append(log, b"one\n")
    assert lines_of(follower.poll()) == [b"one"]
    log.write_bytes(b"entirely different and longer than before\n")
    assert lines_of(follower.poll()) == [b"entirely different and longer than before"]


def test_a_name_that_is_missing_for_a_moment(log: Path, follower: Follower) -> None:
    log.rename(log.with_suffix(".1"))
    append(log.with_suffix(".1"), b"still here\n")
    assert lines_of(follower.poll()) == [b"still here"]
    log.write_bytes(b"back\n")
    assert lines_of(follower.poll()) == [b"back"]


def test_a_file_that_was_empty_at_first(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.write_bytes(b"")
    follower = Follower(path, LIMIT, Counters())
    append(path, b"a\n")
    assert lines_of(follower.poll()) == [b"a"]
    append(path, b"b\n")
    assert lines_of(follower.poll()) == [b"b"]
    follower.close()


def test_following_reports_idleness_and_ends(log: Path) -> None:
    asked = iter([False, False, False])
    news = list(follow_blocks(log, LIMIT, Counters(), lambda: next(asked, True)))
    assert news == [None, None, None]
