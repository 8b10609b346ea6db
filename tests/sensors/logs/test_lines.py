"""Lines, their numbers and offsets don't depend on how the bytes are cut; memory stays bounded."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.logs.lines import BLOCK_LINES, Block, LineCutter

LIMIT = 16


def cut(pieces: list[bytes]) -> list[Block]:
    cutter = LineCutter(LIMIT)
    blocks = [block for piece in pieces for block in cutter.feed(piece)]
    return blocks + list(cutter.finish())


def flat(blocks: list[Block]) -> list[tuple[int, int, bytes, bool]]:
    return [
        (block.first + index, block.offset_of(index), line, block.cut)
        for block in blocks
        for index, line in enumerate(block.lines)
    ]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(alphabet="ab\n\r", max_size=60).map(str.encode), max_size=12))
def test_any_cutting_gives_the_same_lines(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    got = flat(cut(pieces))
    lines = data.split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    assert [(number, line, was_cut) for number, _, line, was_cut in got] == [
        (number, line[:LIMIT], len(line) > LIMIT) for number, line in enumerate(lines, 1)
    ]
    for _, offset, line, _ in got:
        assert data[offset : offset + len(line)] == line
        assert offset == 0 or data[offset - 1 : offset] == b"\n"


def test_a_line_without_end_is_given_once_and_not_kept() -> None:
    cutter = LineCutter(LIMIT)
    blocks = [block for _ in range(1000) for block in cutter.feed(b"x" * 1000)]
    assert [(b.first, b.lines, b.cut) for b in blocks] == [(1, [b"x" * LIMIT], True)]
    (after,) = cutter.feed(b"yy\nnext\n")
    assert (after.first, after.offset, after.lines) == (2, 1_000_003, [b"next"])


def test_blocks_hold_a_bounded_number_of_lines() -> None:
    blocks = cut([b"\n" * (BLOCK_LINES * 2 + 5)])
    assert [len(block.lines) for block in blocks] == [BLOCK_LINES, BLOCK_LINES, 5]
    assert [block.first for block in blocks] == [1, BLOCK_LINES + 1, 2 * BLOCK_LINES + 1]
