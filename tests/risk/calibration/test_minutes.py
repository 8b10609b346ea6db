"""Host-minutes and the sums over them."""

import math

from risk.calibration.minutes import DRIFT, MINUTE_NS, TAU_S, HostMinutes


def test_a_minute_counts_its_strangest_row_against_their_number() -> None:
    minutes: HostMinutes[str] = HostMinutes(10)
    list(minutes.closing(MINUTE_NS, list))
    assert minutes.count("a", 3.0) == 3.0
    for _ in range(99):
        minutes.count("a", 0.5)
    assert minutes.count("a", 4.0) == 3.0
    assert minutes.count("a", 6.0) == 6.0 - math.log10(102)
    assert minutes.count("b", 0.5) == 0.5


def test_a_score_never_falls_within_its_minute() -> None:
    minutes: HostMinutes[str] = HostMinutes(10)
    found = [minutes.count("a", strength) for strength in (3.0, 0.1, 0.1, 2.0, 5.0, 0.1)]
    assert found == sorted(found)


def test_minutes_close_in_order_and_once() -> None:
    minutes: HostMinutes[str] = HostMinutes(10)
    list(minutes.closing(5 * MINUTE_NS, list))
    for host in ("b", "a", "b"):
        minutes.count(host, 2.0)
    assert list(minutes.closing(6 * MINUTE_NS - 1, list)) == []
    closed = list(minutes.closing(9 * MINUTE_NS, list))
    assert [each.host for each in closed] == ["b", "a"]
    assert {each.ts for each in closed} == {6 * MINUTE_NS}
    assert list(minutes.closing(9 * MINUTE_NS, list)) == []
    assert list(minutes.closing(2 * MINUTE_NS, list)) == []  # late


def test_patience_adds_up_and_fades() -> None:
    minutes: HostMinutes[str] = HostMinutes(10)
    totals = []
    for minute in range(1, 40):
        totals += [each.total for each in minutes.closing(minute * MINUTE_NS, list)]
        minutes.count("slow", DRIFT + 0.5)
        minutes.count("calm", DRIFT - 0.5)
    assert max(totals) > 5
    list(minutes.closing(40 * MINUTE_NS, list))
    later = 40 + int(3 * TAU_S / 60)
    list(minutes.closing(later * MINUTE_NS, list))
    minutes.count("slow", 0.0)
    assert [each.total for each in minutes.closing((later + 1) * MINUTE_NS, list)] == [0.0]


def test_hosts_are_capped_and_the_rest_counted() -> None:
    minutes: HostMinutes[int] = HostMinutes(8)
    for host in range(100):
        minutes.count(host, 5.0)
    assert minutes.crowded == 92
    assert len(list(minutes.closing(MINUTE_NS, list))) == 8
