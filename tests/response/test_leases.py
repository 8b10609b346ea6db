"""The life of an action."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from response import leases
from response.errors import TransitionError
from response.leases import ENDED, SECOND_NS, TRANSITIONS, Lease
from response.values import ActionState
from sensors.values import Entity, EntityKind

TARGET = Entity(EntityKind.IP, "192.0.2.1")


def proposed(lease_s: float = 60.0, now: int = 0, decision: str = "d") -> Lease:
    return leases.propose(
        decision_id=decision, actuator="nftables", target=TARGET, ts=1, now=now, lease_s=lease_s, reason="r", impact="i"
    )


STEPS: dict[str, Callable[[Lease, int], Lease]] = {
    "activate": lambda lease, _: leases.activate(lease),
    "extend": leases.extend,
    "refuse": lambda lease, _: leases.refuse(lease, "no"),
    "fail": lambda lease, _: leases.fail(lease, "broken"),
    "expire": leases.expire,
    "undo": lambda lease, _: leases.undo(lease),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 10**12)), max_size=12))
def test_only_the_table_s_transitions_happen_and_there_is_always_an_end(steps: list[tuple[str, int]]) -> None:
    lease, start = proposed(), 0
    for name, now in steps:
        before = lease
        try:
            lease = STEPS[name](lease, now)
        except TransitionError:
            continue
        if lease is not before:
            assert lease.action.state in TRANSITIONS[before.action.state]
        assert lease.end > start
        assert lease.end >= before.end
        assert lease.action.id == before.action.id


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_stays_as_it_is(state: ActionState) -> None:
    active = leases.activate(proposed())
    ends = {
        ActionState.UNDONE: leases.undo(active),
        ActionState.EXPIRED: leases.expire(active, active.end),
        ActionState.FAILED: leases.fail(active, "broken"),
        ActionState.REFUSED: leases.refuse(active, "no"),
    }
    ended = ends[state]
    assert ended.action.state is state
    assert leases.undo(ended) == ended
    assert leases.expire(ended, ended.end + 1) == ended
    with pytest.raises(TransitionError):
        leases.activate(ended)


def test_a_proposal_cannot_be_undone() -> None:
    with pytest.raises(TransitionError):
        leases.undo(proposed())


def test_it_expires_at_its_end_and_not_before() -> None:
    active = leases.activate(proposed(lease_s=2.0, now=5))
    assert leases.expire(active, 5 + 2 * SECOND_NS - 1) == active
    assert leases.expire(active, 5 + 2 * SECOND_NS).action.state is ActionState.EXPIRED


def test_an_extension_never_shortens() -> None:
    active = leases.activate(proposed(lease_s=2.0, now=5 * SECOND_NS))
    assert leases.extend(active, 6 * SECOND_NS).end == 8 * SECOND_NS
    assert leases.extend(active, 0).end == active.end


@pytest.mark.parametrize("lease_s", [0.0, -1.0, float("inf"), float("nan")])
def test_there_is_no_action_without_an_end(lease_s: float) -> None:
    with pytest.raises(TransitionError):
        proposed(lease_s)


def test_ids_depend_on_decision_means_and_target_alone() -> None:
    assert proposed().action.id == proposed(lease_s=1.0, now=9).action.id
    other = Entity(EntityKind.HOST, "192.0.2.1")
    same = {
        leases.action_id("d", "nftables", TARGET), leases.action_id("e", "nftables", TARGET),
        leases.action_id("d", "other", TARGET), leases.action_id("d", "nftables", other),
    }  # fmt: skip
    assert len(same) == 4
    assert TARGET.id not in proposed().action.undo
