"""Impact in words."""

from response.impact import UNKNOWN, Surroundings, describe


def test_it_says_who_else_is_there() -> None:
    shared = describe(Surroundings(window_s=600, others=3, connections=12, all_connections=1200))
    assert shared == "3 others without evidence share the address; it made 12 connections (1.0% of all) in 600 s"
    alone = describe(Surroundings(window_s=60, others=0, connections=1, all_connections=0))
    assert alone == "nobody else seen at the address; it made 1 connection (0.0% of all) in 60 s"
    one = describe(Surroundings(window_s=60, others=1, connections=1, all_connections=2))
    assert one.startswith("1 other without evidence shares the address")


def test_it_says_when_it_does_not_know() -> None:
    assert describe(None) == UNKNOWN
