"""A log as a source: counters, watermarks, following, and independence from blocks through the merge."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sensors.errors import UnreadableInputError
from sensors.logs import lines
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.source import LogSource
from sensors.merge import merge
from sensors.registry import Input
from sensors.settings import SensorSettings
from sensors.values import AuthOutcome, Batch, Kind

SECOND = 1_000_000_000


class Numbers:
    """A format for tests: a line is the seconds of its event; "-" is of no use, "!" is malformed."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        if line == b"-":
            return False
        if line == b"!":
            raise MalformedLineError("test.bang", "a bang")
        out.auth(int(line) * SECOND, seq, AuthOutcome.FAILURE, orig=b"host-" + line)
        return True


def source(path: Path, *, follow: bool = False, now: int = 0, slack: int = 5) -> LogSource:
    item = Input(path, "typed", SensorSettings(), 0, follow)
    return LogSource(item, "test", Numbers(), slack * SECOND, clock=lambda: now * SECOND)


def seconds(batch: Batch) -> list[int]:
    return [int(ts) // SECOND for ts in batch.tables[Kind.AUTH]["ts"]] if batch.tables else []


def test_every_line_is_counted_once_and_faults_have_their_place(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1\n-\n!\nnot a number\n\xff\n2")
    log = source(path)
    batches = list(log.batches())
    assert [seconds(batch) for batch in batches] == [[1], [2]] or [s for b in batches for s in seconds(b)] == [1, 2]
    counters = log.counters
    assert (counters.read, counters.parsed, counters.ignored, counters.malformed) == (6, 2, 1, 3)
    assert [(f.code, f.line, f.offset) for f in counters.faults] == [
        ("test.bang", 3, 4), ("log.value", 4, 6), ("log.value", 5, 19)
    ]  # fmt: skip
    assert "not a number" not in str(counters.faults)
    assert (log.size, counters.bytes) == (path.stat().st_size, path.stat().st_size)


def test_a_missing_file_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError):
        source(tmp_path / "missing")


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_blocks_of_any_size_merge_to_the_same_rows(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_LINES", size)
    path, times = tmp_path / "x", [10, 12, 11, 9, 14, 13, 20, 18, 19, 16, 25, 24]
    path.write_bytes("\n".join(map(str, times)).encode())
    log = source(path)
    merged = list(merge(["x"], [log.batches()]))
    assert [second for batch in merged for second in seconds(batch)] == sorted(times)
    assert log.counters.late == 0


def test_a_late_line_is_counted_and_kept_with_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"100\n101\n1\n102\n")
    log = source(path)
    rows = sorted(second for batch in merge(["x"], [log.batches()]) for second in seconds(batch))
    assert rows == [1, 100, 101, 102]
    assert log.counters.late == 1


def pull(batches: Iterator[Batch], count: int) -> list[Batch]:
    return [next(batches) for _ in range(count)]


def test_following_hands_on_at_once_and_keeps_the_watermark_moving(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1\n")
    log = source(path, follow=True, now=50)
    stopped = False
    batches = log.batches(lambda: stopped)
    (idle,) = pull(batches, 1)
    assert len(idle) == 0 and idle.watermark == 50 * SECOND
    with path.open("ab") as stream:
        stream.write(b"49\n51\n")
    news, idle = pull(batches, 2)
    assert seconds(news) == [49, 51] and news.watermark == 50 * SECOND
    assert len(idle) == 0
    stopped = True
    assert list(batches) == []
    assert (log.size, log.counters.late) == (0, 0)
