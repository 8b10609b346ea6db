"""Files followed through rotation, truncation, packing and restarts, with real files."""

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sensors.errors import UnreadableInputError
from sensors.logs.follow import Follower
from sensors.logs.lines import Block
from sensors.values import Counters

LIMIT = 1024


def lines_of(blocks: Iterator[Block]) -> list[bytes]:
    return [line for block in blocks for line in block.lines]


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


def copy_and_truncate(log: Path, name: str = "x.1") -> None:
    shutil.copy(log, log.with_name(name))
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


def following(path: Path, place: Any = None, since: int | None = None) -> Follower:
    return Follower(path, LIMIT, Counters(), place, since)


def test_a_packed_file_has_no_end_to_follow_but_a_beginning(tmp_path: Path) -> None:
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"x\ny\n"))
    with pytest.raises(UnreadableInputError):
        following(packed)
    follower = following(packed, since=0)
    assert lines_of(follower.poll()) == [b"x", b"y"]
    assert lines_of(follower.poll()) == []
    follower.close()


def test_files_that_came_and_went_between_two_looks_are_read_whole(log: Path, follower: Follower) -> None:
    append(log, b"one\n")
    for number in (1, 2, 3):
        for older in (3, 2, 1):
            name = log.with_name(f"x.log.{older}")
            if name.exists():
                name.rename(log.with_name(f"x.log.{older + 1}"))
        log.rename(log.with_name("x.log.1"))
        later(log.with_name("x.log.1"), number)
        log.write_bytes(b"file %d\n" % number)
    assert lines_of(follower.poll()) == [b"one", b"file 1", b"file 2", b"file 3"]
    assert lines_of(follower.poll()) == []


def later(path: Path, number: int) -> None:
    """Make files differ in age, however fast they were written."""
    os.utime(path, ns=(0, (1_700_000_000 + number) * 10**9))


def test_what_was_written_just_before_a_truncation_is_in_the_copy(log: Path, follower: Follower) -> None:
    assert lines_of(follower.poll()) == []
    append(log, b"seen\n")
    assert lines_of(follower.poll()) == [b"seen"]
    append(log, b"unseen\n")
    copy_and_truncate(log, "x.log.1")
    append(log, b"after\n")
    assert lines_of(follower.poll()) == [b"unseen", b"after"]


def test_a_neighbour_with_a_similar_name_is_not_a_rotated_file(log: Path, follower: Follower) -> None:
    log.with_name("x.log-errors").write_bytes(b"foreign\n")
    log.with_name("x.log.bak").write_bytes(b"foreign\n")
    log.rename(log.with_name("x.log.1"))
    later(log.with_name("x.log.1"), 0)
    log.write_bytes(b"new\n")
    assert lines_of(follower.poll()) == [b"new"]


def pack_gzip(path: Path) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, path.with_name(path.name + ".gz"))
    path.unlink()


def pack_zstd(path: Path) -> None:
    from backports import zstd

    path.with_name(path.name + ".zst").write_bytes(zstd.compress(path.read_bytes()))
    shutil.copystat(path, path.with_name(path.name + ".zst"))
    path.unlink()


def nothing(path: Path) -> None:
    """Leave the rotated file as it is."""


@pytest.mark.parametrize("pack", [nothing, pack_gzip, pack_zstd])
@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_a_restart_goes_on_where_it_stood(log: Path, pack: Callable[[Path], None], rotations: int) -> None:
    first = following(log)
    append(log, b"before 1\nbefore 2\nhal")
    assert lines_of(first.poll()) == [b"before 1", b"before 2"]
    place = json.loads(json.dumps(first.place))
    assert "before" not in json.dumps(place)
    first.close()
    append(log, b"f\n")
    expected = [b"half"]
    for number in range(rotations):
        rotated = log.with_name(f"x.log-{number}")
        log.rename(rotated)
        later(rotated, number)
        pack(rotated)
        log.write_bytes(b"file %d\n" % number)
        expected.append(b"file %d" % number)
    second = following(log, place)
    blocks = list(second.poll())
    assert [line for block in blocks for line in block.lines] == expected
    assert blocks[0].first == 3
    third = following(log, json.loads(json.dumps(second.place)))
    assert lines_of(third.poll()) == []
    second.close()
    third.close()


def test_a_restart_after_copying_and_truncating(log: Path) -> None:
    first = following(log)
    append(log, b"before\n")
    assert lines_of(first.poll()) == [b"before"]
    first.close()
    append(log, b"unseen\n")
    copy_and_truncate(log, "x.log.1")
    append(log, b"a line that is long enough to reach beyond the place\n")
    second = following(log, first.place)
    assert lines_of(second.poll()) == [b"unseen", b"a line that is long enough to reach beyond the place"]
    second.close()


def test_an_inode_that_is_used_again_is_another_file(log: Path) -> None:
    first = following(log)
    append(log, b"before\n")
    assert lines_of(first.poll()) == [b"before"]
    place = dict(first.place)
    first.close()
    log.unlink()
    log.write_bytes(b"another file altogether, and a longer one\n")
    place["inode"] = log.stat().st_ino
    second = following(log, place)
    counters = second._counters
    assert lines_of(second.poll()) == [b"another file altogether, and a longer one"]
    assert [fault.code for fault in counters.faults] == ["log.rotated-away"]
    assert (counters.read, counters.malformed) == (1, 1)
    second.close()


def test_a_restart_within_a_line_that_was_given_cut(log: Path) -> None:
    first = following(log)
    append(log, b"x" * (3 * LIMIT))
    (block,) = first.poll()
    assert block.cut and first.place["skipping"]
    first.close()
    append(log, b"the rest\nnext\n")
    second = following(log, first.place)
    assert lines_of(second.poll()) == [b"next"]
    second.close()


def test_a_restart_where_the_last_words_of_the_old_file_were_the_last_thing_read(log: Path) -> None:
    first = following(log)
    append(log, b"last words")
    log.rename(log.with_name("x.log.1"))
    later(log.with_name("x.log.1"), 1)
    log.write_bytes(b"new\n")
    poll = first.poll()
    assert next(poll).lines == [b"last words"]
    place = dict(first.place)
    first.close()
    second = following(log, place)
    assert lines_of(second.poll()) == [b"new"]
    assert not second._counters.faults
    second.close()


def test_a_file_that_was_empty_when_the_place_was_kept(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"")
    first = following(log)
    assert lines_of(first.poll()) == []
    first.close()
    append(log, b"a\n")
    log.rename(log.with_name("x.log.1"))
    later(log.with_name("x.log.1"), 1)
    log.write_bytes(b"b\n")
    second = following(log, first.place)
    assert lines_of(second.poll()) == [b"a", b"b"]
    second.close()


def test_truncated_twice_with_copies_between_two_looks(log: Path, follower: Follower) -> None:
    append(log, b"one\n")
    assert lines_of(follower.poll()) == [b"one"]
    append(log, b"two\n")
    copy_and_truncate(log, "x.log.1")
    later(log.with_name("x.log.1"), 1)
    append(log, b"three\n")
    copy_and_truncate(log, "x.log.2")
    later(log.with_name("x.log.2"), 2)
    append(log, b"four\n")
    assert lines_of(follower.poll()) == [b"two", b"three", b"four"]
    assert lines_of(follower.poll()) == []


def test_a_log_that_was_rotated_before_it_was_first_seen(log: Path) -> None:
    later(log, 1)
    log.rename(log.with_name("x.log.2"))
    append(log, b"young\n")
    later(log, 3)
    log.rename(log.with_name("x.log.1"))
    append(log, b"new\n")
    follower = following(log, since=(1_700_000_000 + 2) * 10**9)
    assert lines_of(follower.poll()) == [b"young", b"new"]
    follower.close()
