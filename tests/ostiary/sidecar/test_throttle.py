"""Token buckets: a second's share at once, the rate in the long run, and a table that stays small."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.sidecar import throttle
from ostiary.sidecar.throttle import Buckets

SECOND = 1_000_000_000


def taken(buckets: Buckets, rate: float, at: int, times: int, subject: str = "a") -> int:
    return sum(buckets.take(subject, rate, at) for _ in range(times))


@pytest.mark.parametrize(("rate", "at_once"), [(10.0, 10), (2.5, 2), (1.0, 1), (0.1, 1)])
def test_a_seconds_share_at_once(rate: float, at_once: int) -> None:
    assert taken(Buckets(), rate, 0, 100) == at_once


def test_what_is_used_up_comes_back_at_the_rate() -> None:
    buckets = Buckets()
    taken(buckets, 10.0, 0, 100)
    assert taken(buckets, 10.0, SECOND // 10 - 1, 100) == 0
    assert taken(buckets, 10.0, SECOND // 2, 100) == 5
    assert taken(buckets, 10.0, 3600 * SECOND, 100) == 10


def test_a_slow_rate_is_kept_too() -> None:
    buckets = Buckets()
    assert [taken(buckets, 0.25, second * SECOND, 3) for second in range(9)] == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_subjects_have_a_bucket_each() -> None:
    buckets = Buckets()
    assert taken(buckets, 1.0, 0, 5, "a") == taken(buckets, 1.0, 0, 5, "b") == 1


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    buckets = Buckets()
    taken(buckets, 10.0, 3600 * SECOND, 100)
    assert taken(buckets, 10.0, 0, 100) == 0
    assert taken(buckets, 10.0, SECOND, 100) == 10


def test_another_rate_holds_at_once() -> None:
    buckets = Buckets()
    taken(buckets, 100.0, 0, 1)
    assert taken(buckets, 2.0, 0, 100) == 2


def test_whoever_was_not_seen_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "CAPACITY", 2)
    buckets = Buckets()
    for subject in ("a", "b", "a", "c"):
        buckets.take(subject, 1.0, 0)
    assert [buckets.take(subject, 1.0, 0) for subject in ("a", "c", "b")] == [False, False, True]


@given(
    st.floats(0.01, 50), st.lists(st.tuples(st.integers(0, 2 * SECOND), st.integers(1, 20)), min_size=1, max_size=20)
)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_nobody_gets_more_than_the_rate_over_any_stretch(rate: float, steps: list[tuple[int, int]]) -> None:
    buckets, now, got = Buckets(), 0, []
    for pause, times in steps:
        now += pause
        got.append((now, taken(buckets, rate, now, times)))
    for first, (begin, _) in enumerate(got):
        for end, _ in got[first:]:
            within = sum(count for at, count in got if begin <= at <= end)
            assert within <= max(rate, 1.0) + (end - begin) / SECOND * rate + 1e-6
