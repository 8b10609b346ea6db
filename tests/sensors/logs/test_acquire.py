"""Files read to their end, plain and packed."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensors.errors import UnreadableInputError
from sensors.logs.acquire import read_blocks
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


def test_reading_stops_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x\n" * 1_000_000)
    asked = iter([False, False, True])
    blocks = list(read_blocks(path, LIMIT, Counters(), lambda: next(asked, True)))
    assert 0 < sum(len(block.lines) for block in blocks) < 1_000_000
