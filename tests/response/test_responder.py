"""From decisions to actions: what is done, what is only proposed, and in which order it is written down."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.values import Decision, Verdict
from response.errors import ActuatorError, MissingActuatorError, MissingSinkError, RefusedError
from response.guards import HOUR_NS, NeverList, protect, single_address
from response.leases import SECOND_NS
from response.responder import ASK_AGAIN_S, RETRY_S, Responder
from response.settings import ResponseSettings
from response.values import ActionState
from sensors.values import Entity, EntityKind

NEVER = NeverList(protect(["10.0.0.0/8"], "the operator exempted it"))
Decide = Callable[..., Decision]
OBSERVE = ResponseSettings(lease_s=60.0)
ENFORCE = ResponseSettings(mode="enforce", lease_s=60.0, max_actions_per_hour=3, max_active=2)


@pytest.fixture
def enforcing(memory: Any, log: Any) -> Responder:
    return Responder(ENFORCE, memory, NEVER, log)


def ip(text: str) -> Entity:
    return Entity(EntityKind.IP, text)


def test_a_missing_sink_or_actuator_is_an_error(memory: Any, log: Any) -> None:
    with pytest.raises(MissingSinkError):
        Responder(OBSERVE, memory, NEVER, None)
    with pytest.raises(MissingActuatorError):
        Responder(ENFORCE, None, NEVER, log)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_deny_and_isolate_lead_to_anything(verdict: Verdict, enforcing: Responder, decide: Decide) -> None:
    action = enforcing.consider(decide("192.0.2.1", verdict), 0)
    assert (action is not None) == (verdict in (Verdict.DENY, Verdict.ISOLATE))


@pytest.mark.parametrize("kind", [kind for kind in EntityKind if kind is not EntityKind.IP])
def test_only_addresses_are_acted_on(kind: EntityKind, enforcing: Responder, memory: Any, decide: Decide) -> None:
    assert enforcing.consider(decide("192.0.2.1", kind=kind), 0) is None
    assert not memory.calls


def test_observe_does_nothing_and_says_what_it_would(memory: Any, log: Any, decide: Decide) -> None:
    responder = Responder(OBSERVE, memory, NEVER, log)
    action = responder.consider(decide("192.0.2.1"), 0)
    assert action is not None and action.state is ActionState.PROPOSED
    assert action.reason == "deny: risk.critical"
    spared = responder.consider(decide("10.1.1.1"), 0)
    assert spared is not None and spared.state is ActionState.REFUSED
    assert log.states() == ["proposed", "refused"]
    assert not memory.calls


def test_a_repeated_decision_repeats_nothing_until_the_lease_would_end(memory: Any, log: Any, decide: Decide) -> None:
    responder = Responder(OBSERVE, memory, NEVER, log)
    first = responder.consider(decide("192.0.2.1", name="a"), 0)
    assert responder.consider(decide("192.0.2.1", name="b"), 59 * SECOND_NS) == first
    again = responder.consider(decide("192.0.2.1", name="c"), 60 * SECOND_NS)
    assert again is not None and again.decision_id == "c"
    assert log.states() == ["proposed", "proposed"]


def test_enforce_acts_and_the_record_comes_first(enforcing: Responder, memory: Any, log: Any, decide: Decide) -> None:
    action = enforcing.consider(decide("::ffff:192.0.2.1", Verdict.ISOLATE), 0)
    assert action is not None and action.state is ActionState.ACTIVE
    assert memory.held == {ip("192.0.2.1"): 60.0}
    assert log.entries == [action]
    assert log.held_then == [()]


def test_nothing_happens_when_nothing_can_be_recorded(
    enforcing: Responder, memory: Any, log: Any, decide: Decide
) -> None:
    log.full = True
    with pytest.raises(ActuatorError):
        enforcing.consider(decide("192.0.2.1"), 0)
    assert not memory.calls
    assert not enforcing.active()


def test_the_same_target_is_one_action_whose_lease_grows(
    enforcing: Responder, memory: Any, log: Any, decide: Decide
) -> None:
    first = enforcing.consider(decide("192.0.2.1", name="a"), 0)
    assert enforcing.consider(decide("192.0.2.1", name="b"), 10 * SECOND_NS) == first
    assert memory.calls == ["apply"]
    assert enforcing.consider(decide("192.0.2.1", name="c"), 40 * SECOND_NS) == first
    assert memory.calls == ["apply", "apply"]
    assert enforcing.expire(60 * SECOND_NS) == ()
    (ended,) = enforcing.expire(100 * SECOND_NS)
    assert ended.state is ActionState.EXPIRED
    assert log.states() == ["active", "active", "expired"]


def test_undo_twice_equals_once(enforcing: Responder, memory: Any, log: Any, decide: Decide) -> None:
    action = enforcing.consider(decide("192.0.2.1"), 0)
    assert action is not None
    undone = enforcing.undo(action.id)
    assert undone is not None and undone.state is ActionState.UNDONE
    assert enforcing.undo(action.id) is None
    assert enforcing.undo(ip("192.0.2.1")) is None
    assert memory.calls == ["apply", "undo"]
    assert log.states() == ["active", "undone"]


def test_undo_by_target_and_undo_all(enforcing: Responder, memory: Any, decide: Decide) -> None:
    enforcing.consider(decide("192.0.2.1"), 0)
    enforcing.consider(decide("2001:db8::1"), 0)
    assert enforcing.undo(ip("2001:db8::1")) is not None
    memory.held[ip("192.0.2.99")] = 5.0  # left by somebody before us
    assert [action.target for action in enforcing.undo_all()] == [ip("192.0.2.1")]
    assert not memory.held
    assert enforcing.undo_all() == ()


def test_a_failed_undo_says_that_the_action_stands(enforcing: Responder, memory: Any, log: Any, decide: Decide) -> None:
    action = enforcing.consider(decide("192.0.2.1"), 0)
    memory.broken = ActuatorError("gone")
    with pytest.raises(ActuatorError):
        enforcing.undo(ip("192.0.2.1"))
    assert enforcing.active() == (action,)
    assert log.states() == ["active", "undone", "active"]


def test_a_failure_is_recorded_and_tried_again_later(
    enforcing: Responder, memory: Any, log: Any, decide: Decide
) -> None:
    memory.broken = ActuatorError("nft did not end")
    action = enforcing.consider(decide("192.0.2.1", name="a"), 0)
    assert action is not None and action.state is ActionState.FAILED
    assert action.reason == "nft did not end"
    memory.broken = None
    assert enforcing.consider(decide("192.0.2.1", name="b"), 1) == action
    later = enforcing.consider(decide("192.0.2.1", name="c"), round(RETRY_S * SECOND_NS))
    assert later is not None and later.state is ActionState.ACTIVE
    assert log.states() == ["active", "failed", "active"]


def test_what_the_means_refuses_is_refused(enforcing: Responder, memory: Any, log: Any, decide: Decide) -> None:
    memory.broken = RefusedError("guard.never", "never acted on: it is a gateway of this machine")
    action = enforcing.consider(decide("192.0.2.1", name="a"), 0)
    assert action is not None and action.state is ActionState.REFUSED
    assert enforcing.consider(decide("192.0.2.1", name="b"), round(ASK_AGAIN_S * SECOND_NS) - 1) == action
    assert not enforcing.active()


def test_limits_hold_and_free_themselves(enforcing: Responder, decide: Decide) -> None:
    def state(number: int, now: int) -> ActionState:
        action = enforcing.consider(decide(f"192.0.2.{number}"), now)
        assert action is not None
        return action.state

    assert [state(n, 0) for n in (1, 2, 3)] == [ActionState.ACTIVE, ActionState.ACTIVE, ActionState.REFUSED]
    later = 61 * SECOND_NS
    assert [state(n, later) for n in (4, 5)] == [ActionState.ACTIVE, ActionState.REFUSED]
    assert state(6, HOUR_NS + later) is ActionState.ACTIVE


def test_adopting_what_an_earlier_process_left(enforcing: Responder, memory: Any, log: Any, decide: Decide) -> None:
    first = enforcing.consider(decide("192.0.2.1"), 0)
    second = enforcing.consider(decide("192.0.2.2"), 0)
    assert first is not None and second is not None
    del memory.held[second.target]
    memory.held[ip("192.0.2.9")] = 30.0
    memory.held[ip("10.0.0.1")] = 30.0
    memory.held[first.target] = 5.0
    heir = Responder(ENFORCE, memory, NEVER, log)
    changed = {(action.target.id, action.state.value) for action in heir.adopt([first, second], SECOND_NS)}
    assert changed == {
        ("192.0.2.2", "expired"), ("192.0.2.9", "active"), ("10.0.0.1", "active"), ("10.0.0.1", "undone"),
    }  # fmt: skip
    assert {action.target.id for action in heir.active()} == {"192.0.2.1", "192.0.2.9"}
    assert [action.id for action in heir.expire(6 * SECOND_NS)] == [first.id]


TARGETS = [
    "10.0.0.1", "::ffff:10.0.0.1", "::FFFF:a00:1", "127.0.0.1", "::1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2",
    "192.0.2.3", "2001:db8::1", "2001:DB8:0::1", "192.0.2.0/24", "0.0.0.0/0", "x",
]  # fmt: skip
operations = st.lists(
    st.tuples(
        st.sampled_from(["consider", "consider", "consider", "undo", "expire", "undo_all"]),
        st.sampled_from(TARGETS),
        st.integers(0, 2 * HOUR_NS // SECOND_NS),
    ),
    max_size=40,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(operations, st.booleans())
def test_whatever_comes_in_whatever_order(
    memory: Any, log: Any, decide: Decide, steps: list[tuple[str, str, int]], sorted_in_time: bool
) -> None:
    memory.held.clear()
    memory.calls.clear()
    log.entries.clear()
    responder = Responder(ENFORCE, memory, NEVER, log)
    times = sorted(now for _, _, now in steps) if sorted_in_time else [now for _, _, now in steps]
    begun: list[int] = []
    for number, ((name, target, _), seconds) in enumerate(zip(steps, times, strict=True)):
        now = seconds * SECOND_NS
        match name:
            case "consider":
                found = responder.consider(decide(target, name=str(number)), now)
                if found is not None and found.state is ActionState.ACTIVE and found.decision_id == str(number):
                    begun.append(now)
            case "undo":
                responder.undo(ip(target))
            case "expire":
                for action in responder.expire(now):
                    del memory.held[action.target]  # as the kernel would
            case _:
                responder.undo_all()
        for held, lease_s in memory.held.items():
            address = single_address(held.id)
            assert address is not None and str(address) == held.id
            assert NEVER.why(address) is None
            assert 0 < lease_s <= ENFORCE.lease_s
        assert len(responder.active()) <= ENFORCE.max_active
        assert {action.target for action in responder.active()} <= set(memory.held)
    for start in begun:
        assert sum(1 for then in begun if start <= then < start + HOUR_NS) <= ENFORCE.max_actions_per_hour
