"""What entries lead to: patterns, files that appear and go, and what is left as it was over restarts."""

import gzip
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sensors.errors import UnreadableInputError
from sensors.logs.watch import FORMAT, Watch, is_pattern
from sensors.receive.receivers import Receivers
from sensors.settings import SensorSettings, SourceSettings
from sensors.values import Mark

LINE = b'203.0.113.%d - - [24/Nov/2026:23:57:19 +0000] "GET / HTTP/1.1" 200 32 "-" "-"\n'
Make = Callable[..., Watch]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that watches entries, with what was known before."""
    made: list[Watch] = []

    def watch(*entries: str, before: Watch | None = None, option: SourceSettings | None = None) -> Watch:
        settings = SensorSettings(logs=entries, sources=dict.fromkeys(entries, option) if option else {})
        marks, since = known(before) if before else ({}, {})
        made.append(Watch(settings, marks, since, Receivers(settings, tmp_path / "queues"), time.time_ns()))
        made[-1].open()
        return made[-1]

    yield watch
    for watch_ in made:
        for source in watch_.sources:
            source.close()


def known(watch: Watch) -> tuple[dict[str, Mark], dict[str, int]]:
    """Return what the store would know of a watch."""
    marks = {}
    for source in watch.sources:
        mark = source.mark()
        place: dict[str, Any] = json.loads(json.dumps({**mark.place, FORMAT: source.format}))
        marks[source.name] = Mark(place, mark.counters)
    return marks, dict(watch.patterns)


def read(watch: Watch) -> dict[str, int]:
    """Return how many lines came of each file, by its last name."""
    for source in watch.sources:
        for _ in source.poll():
            pass
    return {Path(source.name).name: source.counters.read for source in watch.sources}


def append(path: Path, count: int = 1) -> None:
    with path.open("ab") as stream:
        stream.writelines(LINE % number for number in range(count))


def test_files_of_a_pattern_now_and_later(make: Make, tmp_path: Path) -> None:
    append(tmp_path / "old.log")
    watch = make(f"{tmp_path}/*.log")
    append(tmp_path / "old.log", 2)
    append(tmp_path / "new.log", 3)
    (tmp_path / "other.txt").write_bytes(LINE % 1)
    assert [Path(source.name).name for source in watch.look()] == ["new.log"]
    assert read(watch) == {"old.log": 2, "new.log": 3}
    assert not watch.look()


def test_folders_of_a_pattern(make: Make, tmp_path: Path) -> None:
    watch = make(f"{tmp_path}/**/*.log")
    (tmp_path / "a" / "b").mkdir(parents=True)
    append(tmp_path / "a" / "b" / "x.log")
    assert len(watch.look()) == 1
    assert read(watch) == {"x.log": 1}


def test_rotated_files_that_fit_the_pattern_are_no_new_files(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log)
    watch = make(f"{tmp_path}/*.log*")
    append(log, 2)
    log.rename(tmp_path / "x.log.1")
    assert not watch.look()  # not even while the name is missing
    append(log, 3)
    packed = tmp_path / "x.log-20261101.gz"
    packed.write_bytes(gzip.compress(LINE % 1))
    os.utime(packed, (1, 1))
    for _ in range(3):
        assert not watch.look()
    assert read(watch) == {"x.log": 5}


def test_a_packed_file_is_read_once_it_is_whole(make: Make, tmp_path: Path) -> None:
    (tmp_path / "before.gz").write_bytes(gzip.compress(LINE % 1))
    time.sleep(0.05)  # more than the clock of the file system ticks
    watch = make(f"{tmp_path}/*.gz")
    whole = gzip.compress(b"".join(LINE % n for n in range(9)))
    path = tmp_path / "later.gz"
    path.write_bytes(whole[:40])
    assert not watch.look()
    path.write_bytes(whole)
    assert not watch.look()
    assert [Path(source.name).name for source in watch.look()] == ["later.gz"]
    assert read(watch) == {"later.gz": 9}
    assert not watch.sources[0].counters.faults
    assert not watch.look()
    again = make(f"{tmp_path}/*.gz", before=watch)
    for _ in range(3):
        again.look()
    assert read(again) == {"later.gz": 9}


def test_a_file_that_nothing_recognises_is_told_and_tried_again(make: Make, tmp_path: Path) -> None:
    watch = make(f"{tmp_path}/*.log")
    path = tmp_path / "x.log"
    path.write_bytes(b"hello\n")
    assert not watch.look()
    assert watch.refused == {str(path): "sensors.unknown-format"}
    path.write_bytes(b"".join(LINE % n for n in range(9)))
    assert len(watch.look()) == 1
    assert not watch.refused


def test_a_restart_goes_on_with_each_file_and_takes_new_ones_from_their_beginning(make: Make, tmp_path: Path) -> None:
    a = tmp_path / "a.log"
    append(a)
    first = make(f"{tmp_path}/*.log")
    append(a, 2)
    assert read(first) == {"a.log": 2}
    append(a, 4)
    append(tmp_path / "b.log", 5)
    a.rename(tmp_path / "a.log.1")
    a.touch()  # nothing to recognise a format by
    second = make(f"{tmp_path}/*.log", before=first)
    second.look()
    assert read(second) == {"a.log": 6, "b.log": 5}
    assert [source.counters.rows for source in second.sources] == [6, 5]


def test_a_file_that_is_removed_is_let_go_of_and_goes_on_if_it_comes_back(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    append(path)
    watch = make(f"{tmp_path}/*.log")
    append(path, 2)
    path.unlink()
    (source,) = watch.sources
    assert not watch.leave(source)  # it hasn't been read to its end
    assert read(watch) == {"x.log": 2}
    assert watch.leave(source)
    assert watch.sources == []
    append(path, 3)
    assert len(watch.look()) == 1
    assert read(watch) == {"x.log": 2 + 1 + 3}  # and one fault: the old file is gone


def test_a_file_that_is_named_outright_must_be_there(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError):
        make(str(tmp_path / "missing.log"))


def test_a_format_and_a_zone_of_its_own(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    watch = make(str(path), option=SourceSettings(format="error", zone="Europe/Vienna"))
    assert watch.sources[0].format == "error"


def test_what_is_handed_in_is_recognised_by_its_first_line(make: Make) -> None:
    watch = make("push:shop")
    (source,) = watch.sources
    push = watch._receivers.pushes["shop"]
    push.take(b"\nhello\n" + LINE % 1, packed=False)
    assert source.format == ""
    assert read(watch) == {"push:shop": 3}
    assert source.format == "access"
    assert [fault.code for fault in source.counters.faults] == ["log.unrecognised"]
    again = make("push:shop", before=watch)
    again._receivers.pushes["shop"].take(LINE % 2, packed=False)
    assert again.sources[0].format == "access"
    assert read(again) == {"push:shop": 4}


def test_addresses_are_no_patterns() -> None:
    assert is_pattern("/var/log/*.log") and is_pattern("/var/log/[ab].log")
    assert not is_pattern("syslog+udp://[::]:514") and not is_pattern("/var/log/x.log")


def test_parts_of_a_container_s_line_are_joined_over_a_restart_and_counted_once(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    access = LINE % 7
    whole = b"2026-11-24T23:57:19.1Z stdout F " + access
    first, last = access[:50], access[50:]
    parts = b"2026-11-24T23:57:19.1Z stdout P " + first + b"\n2026-11-24T23:57:19.2Z stdout F " + last
    path.write_bytes(whole * 3)
    watch = make(str(path))
    (source,) = watch.sources
    assert source.format == "container"
    cut = len(parts) - 30
    with path.open("ab") as log:
        log.write(whole + parts[:cut])
    marks = [batch.mark for batch in source.poll()]
    assert marks[-1] is not None
    assert (marks[-1].place["line"], marks[-1].counters["read"], marks[-1].counters["rows"]) == (2, 1, 1)
    with path.open("ab") as log:
        log.write(parts[cut:])
    place: dict[str, Any] = json.loads(json.dumps({**marks[-1].place, FORMAT: "container"}))
    settings = SensorSettings(logs=(str(path),))
    saved = {str(path): Mark(place, marks[-1].counters)}
    again = Watch(settings, saved, {}, Receivers(settings, tmp_path / "queues"), time.time_ns())
    again.open()
    assert read(again) == {"x.log": 3}
    assert (again.sources[0].counters.rows, again.sources[0].counters.malformed) == (2, 0)
    again.sources[0].close()
