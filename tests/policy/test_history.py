"""What was decided of late: bounded, rounded, and forgotten after an hour."""

import pytest

from policy.history import MOST, SPAN_NS, STEP_NS, Histories, rounded
from policy.values import History
from sensors.entities import Entity, EntityKind

ALICE, BOB = (Entity(EntityKind.USER, name) for name in ("alice", "bob"))


def test_refusals_of_the_last_hour_are_told() -> None:
    histories = Histories()
    for step in range(7):
        histories.note(ALICE, step * STEP_NS + 1)
    assert histories.of(ALICE, 7 * STEP_NS) == History(5)
    assert histories.of(BOB, 7 * STEP_NS) == History(0)
    assert histories.of(ALICE, SPAN_NS + 5 * STEP_NS - 1) == History(2)  # those of the last three steps
    assert histories.of(ALICE, SPAN_NS + 7 * STEP_NS - 1) == History(1)
    assert histories.of(ALICE, SPAN_NS + 7 * STEP_NS) == History(0)
    assert len(histories) == 0


def test_it_is_bounded() -> None:
    histories = Histories(capacity=10)
    for number in range(100):
        histories.note(Entity(EntityKind.USER, str(number)), number)
    assert len(histories) == 10
    for at in range(MOST * 3):
        histories.note(ALICE, at * STEP_NS // 20)
    assert len(histories._refused[ALICE]) == SPAN_NS // STEP_NS + 1
    assert histories.of(ALICE, MOST * 3 * STEP_NS // 20) == History(200)
    for _ in range(MOST * 3):
        histories.note(BOB, 0)
    assert histories.of(BOB, 1) == History(MOST)


@pytest.mark.parametrize(
    ("count", "told"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 5), (9, 5), (10, 10), (19, 10), (99, 50), (1000, 1000)]
)
def test_counts_are_rounded_down(count: int, told: int) -> None:
    assert rounded(count) == told
