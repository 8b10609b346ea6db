"""What was decided of late: bounded, rounded, and forgotten after an hour."""

import pytest

from policy.history import MOST, SPAN_NS, Histories, rounded
from policy.values import History
from sensors.entities import Entity, EntityKind

ALICE, BOB = (Entity(EntityKind.USER, name) for name in ("alice", "bob"))


def test_refusals_of_the_last_hour_are_told() -> None:
    histories = Histories()
    for at in range(7):
        histories.note(ALICE, at)
    assert histories.of(ALICE, 7) == History(5)
    assert histories.of(BOB, 7) == History(0)
    assert histories.of(ALICE, SPAN_NS + 4) == History(2)
    assert histories.of(ALICE, SPAN_NS + 7) == History(0)
    assert len(histories) == 0


def test_it_is_bounded() -> None:
    histories = Histories(capacity=10)
    for number in range(100):
        histories.note(Entity(EntityKind.USER, str(number)), number)
    assert len(histories) == 10
    for at in range(MOST * 3):
        histories.note(ALICE, at)
    assert histories.of(ALICE, MOST * 3) == History(MOST)


@pytest.mark.parametrize(
    ("count", "told"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 5), (9, 5), (10, 10), (19, 10), (99, 50), (1000, 1000)]
)
def test_counts_are_rounded_down(count: int, told: int) -> None:
    assert rounded(count) == told
