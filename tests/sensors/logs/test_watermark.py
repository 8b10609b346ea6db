"""The watermark follows the lines and not the blocks, and one wrong date moves nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.logs.watermark import BEGINNING, Watermark

SLACK = 10


def run(times: list[int], cuts: list[int], slack: int = SLACK) -> tuple[int, int]:
    mark, late, start = Watermark(slack), 0, 0
    for end in [*sorted(min(cut, len(times)) for cut in cuts), len(times)]:
        late += mark.advance(np.array(times[start:end], np.int64))
        start = end
    return mark.value, late


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_blocks_make_no_difference(times: list[int], cuts: list[int]) -> None:
    assert run(times, cuts) == run(times, [])


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=40))
def test_it_only_rises_and_late_means_earlier_than_it(times: list[int]) -> None:
    mark = Watermark(SLACK)
    for time in times:
        before = mark.value
        assert mark.advance(np.array([time], np.int64)) == int(time < before)
        assert mark.value >= before


def test_one_date_in_the_future_moves_nothing_but_two_do() -> None:
    assert run([100, 101, 9999, 102, 103], []) == (92, 0)
    assert run([100, 9999, 10_000, 102], []) == (9989, 1)


def test_a_single_line_promises_nothing() -> None:
    assert run([100], [])[0] <= BEGINNING + SLACK


def test_rows_held_are_bounded() -> None:
    mark = Watermark(1_000_000, max_held=100)
    assert mark.advance(np.arange(1000, dtype=np.int64)) == 0
    assert mark.value == 900
    assert mark.advance(np.array([899, 900], np.int64)) == 1
