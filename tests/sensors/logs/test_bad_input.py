"""Bad input to a log: each kind a typed, counted fault at its offset, and everything around it kept."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sensors.logs.source import LogSource
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import MAX_FAULTS_KEPT, Batch, Counters, Kind

NOW = 1_795_600_000_000_000_000


def line(number: int, stamp: str = "24/Nov/2026:10:00:00 +0000") -> bytes:
    return f'203.0.113.{number} - - [{stamp}] "GET /{number} HTTP/1.1" 200 32 "-" "-"\n'.encode()


GOOD = [line(number) for number in range(100)]


def read(path: Path) -> tuple[list[int], Counters, list[Batch]]:
    """Return the line numbers of the rows of a file, in order."""
    source = open_source(Input(path, path.name, SensorSettings(), NOW), "access")
    assert isinstance(source, LogSource)
    batches = list(source.batches())
    rows = sorted(int(seq) for batch in batches for rows in batch.tables.values() for seq in rows["seq"])
    counters = source.counters
    assert counters.read == counters.parsed + counters.malformed + counters.ignored
    return rows, counters, batches


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    return module.compress(data)


@pytest.mark.parametrize(("pack", "code"), [(gzip.compress, "log.gzip"), (zstd, "log.zstd")])
@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage behind"])
def test_damaged_packings(pack: Callable[[bytes], bytes], code: str, damage: str, tmp_path: Path) -> None:
    plain = b"".join(line(number % 250, f"24/Nov/2026:10:{number // 3600 % 60:02}:{number // 60 % 60:02} +0000")
                     for number in range(20_000))  # fmt: skip
    packed = bytearray(pack(plain))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    elif damage == "flipped":
        packed[len(packed) // 2 : len(packed) // 2 + 32] = b"\xa5" * 32
    else:
        packed += b"garbage that is no member"
    path = tmp_path / "x.log"
    path.write_bytes(packed)
    rows, counters, _ = read(path)
    told = [fault.offset for fault in counters.faults if fault.code == code]
    if not told:  # it went on for a while with other bytes, and the first faults are those of their lines
        assert len(counters.faults) == MAX_FAULTS_KEPT
        told = [counters.faults[0].offset]
    assert 0 < told[0] <= len(plain)
    whole = plain[: told[0]].count(b"\n")
    assert rows[:whole] == list(range(1, whole + 1))
    assert whole == 20_000 if damage == "garbage behind" else whole > 0 or code == "log.zstd"


BAD = {
    "binary": (bytes(range(256)).replace(b"\n", b"") + b"\n", ["access.line"]),
    "NUL": (b"\0" * 5000 + b"\n", ["access.line"]),
    "another encoding": (line(1).decode().encode("utf-16"), ["access.line"]),
    "cut off": (line(1)[:40] + b"\n", ["access.line"]),
    "no date": (line(1, "31/Feb/2026:10:00:00 +0000"), ["log.time"]),
    "a number that is too large": (line(1).replace(b"200 32", b"200 99999999999999999999"), ["log.range"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_costs_nothing_around_it(kind: str, tmp_path: Path) -> None:
    bad, codes = BAD[kind]
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(GOOD[:50]) + bad + b"".join(GOOD[50:]))
    rows, counters, _ = read(path)
    assert [fault.code for fault in counters.faults] == codes
    assert counters.faults[0].offset == len(b"".join(GOOD[:50]))
    assert counters.faults[0].line == 51
    assert rows == [*range(1, 51), *range(51 + len(codes), 101 + len(codes))]
    assert all(len(sample.text) <= 300 for sample in counters.samples)


def test_bytes_that_are_not_utf8_are_kept_as_they_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(line(1).replace(b"/1 ", b"/\xe4\xf6 ") + line(2))
    rows, counters, batches = read(path)
    assert (rows, counters.malformed) == ([1, 2], 0)
    (batch,) = batches
    assert batch.texts[batch.tables[Kind.HTTP]["path"][0]] == "/\\xe4\\xf6"


def test_nothing_at_all(tmp_path: Path) -> None:
    for name, data in (("plain", b""), ("packed.gz", gzip.compress(b"")), ("packed.zst", zstd(b""))):
        (tmp_path / name).write_bytes(data)
        rows, counters, _ = read(tmp_path / name)
        assert (rows, counters.read, counters.faults) == ([], 0, [])


def test_lines_that_come_twice_are_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(line(1) * 2 + line(2))
    rows, counters, _ = read(path)
    assert (rows, counters.parsed) == ([1, 2, 3], 3)


def test_lines_out_of_order_are_put_where_they_belong_and_late_ones_counted(tmp_path: Path) -> None:
    stamps = ["10:10:00", "10:10:30", "10:10:00", "10:10:31", "10:10:32", "09:00:00", "10:10:33"]
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(line(n, f"24/Nov/2026:{stamp} +0000") for n, stamp in enumerate(stamps)))
    rows, counters, batches = read(path)
    assert rows == [1, 2, 3, 4, 5, 6, 7]
    assert counters.late == 1
    times = [int(ts) for batch in batches for ts in batch.tables[Kind.HTTP]["ts"]]
    assert times == sorted(times)


def test_what_a_live_log_dates_days_after_now_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(line(0))
    item = Input(path, "x", SensorSettings(), NOW, follow=True)
    found = open_source(item, "access")
    assert isinstance(found, LogSource)
    source = LogSource(item, "access", found.parser, clock=lambda: NOW)
    with path.open("ab") as log:
        log.write(line(1) + line(2, "24/Nov/2099:10:00:00 +0000") + line(3))
    rows = [int(seq) for batch in source.poll() for seq in batch.tables[Kind.HTTP]["seq"]]
    assert rows == [1, 3]
    assert [(fault.code, fault.line, fault.offset) for fault in source.counters.faults] == [
        ("log.future", 2, 2 * len(line(1)))
    ]
    counters = source.counters
    assert (counters.read, counters.parsed, counters.malformed, counters.rows) == (3, 2, 1, 2)
    source.close()
    found.close()


GIGABYTE = """
import resource, sys
from pathlib import Path
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
source = open_source(Input(Path(sys.argv[1]), "x", SensorSettings(), 0), "access")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(len(batch) for batch in source.batches())
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(rows, source.counters.read, source.counters.malformed, source.counters.faults[0].offset, grown)
"""


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_of_a_gigabyte_needs_no_memory(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    if packed:
        with gzip.open(path, "wb", 1) as log:
            log.write(line(1))
            for _ in range(1024):
                log.write(b"\0" * (1 << 20))
            log.write(b"\n" + line(2))
    else:
        with path.open("wb") as log:
            log.write(line(1))
            log.seek(1 << 30, 1)  # a hole, which reads as zeros
            log.write(b"\n" + line(2))
    done = subprocess.run([sys.executable, "-c", GIGABYTE, str(path)], capture_output=True, text=True, check=True)
    rows, read_, malformed, offset, grown = map(int, done.stdout.split())
    assert (rows, read_, malformed, offset) == (2, 3, 1, len(line(1)))
    assert grown < 64 << 10, f"{grown} KiB"
