"""Windows keyed by text."""

from risk.windows.keyed import Decayed, Distinct, Keyed, Told

SECOND = 1_000_000_000


def test_the_least_recently_used_key_goes_first() -> None:
    keyed: Keyed[str, list[int]] = Keyed(2, list)
    keyed["a"].append(1)
    keyed["b"].append(1)
    assert keyed["a"] == [1]
    keyed["c"].append(1)
    assert keyed["b"] == []
    assert len(keyed) == 2
    assert keyed.evicted == 2


def test_a_count_decays() -> None:
    count = Decayed(60)
    count.add(0, 10)
    assert 3.6 < count.add(60 * SECOND, 0) < 3.7
    assert 4.6 < count.add(0) < 4.7  # late: nothing decays back


def test_distinct_things_count_once_a_window() -> None:
    seen: Distinct[str] = Distinct(60, cap=3)
    assert [seen.add(n, thing) for n, thing in enumerate("aab")] == [True, False, True]
    assert seen.add(100 * SECOND, "a")
    assert round(seen.count.value) == 1


def test_told_again_only_when_stronger_or_after_quiet() -> None:
    told = Told()
    told_at = [told.again("x", strength, n * SECOND) for n, strength in enumerate((0.9, 1, 1.1, 1.25, 1.25))]
    assert told_at == [False, True, False, True, False]
    assert told.again("x", 1, 200 * SECOND)
    assert told.again("y", 1, 200 * SECOND)
