"""The life of an action: a lease that always has an end.

    proposed ──> active ──> expired | undone | refused | failed
        └──────> refused | failed

`active -> active` is an extension; an action is active from the moment before its means is asked, so that it can still
be refused or fail. Guarantees: no other transition happens; every lease has an end after its start; an
undo or an expiry of what has already ended changes nothing; the same decision, means and target give the same id.
Pure: the time (ns) is passed in.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from response.errors import TransitionError
from response.values import Action, ActionState
from sensors.values import Entity

SECOND_NS = 1_000_000_000

TRANSITIONS: Mapping[ActionState, frozenset[ActionState]] = {
    ActionState.PROPOSED: frozenset({ActionState.ACTIVE, ActionState.REFUSED, ActionState.FAILED}),
    ActionState.ACTIVE: frozenset(
        {ActionState.ACTIVE, ActionState.EXPIRED, ActionState.UNDONE, ActionState.REFUSED, ActionState.FAILED}
    ),
    ActionState.REFUSED: frozenset(),
    ActionState.EXPIRED: frozenset(),
    ActionState.UNDONE: frozenset(),
    ActionState.FAILED: frozenset(),
}

ENDED = frozenset(state for state, following in TRANSITIONS.items() if not following)


@dataclass(frozen=True, slots=True)
class Lease:
    """An action and the instant (ns) at which it ends by itself."""

    action: Action
    end: int

    def left_s(self, now: int) -> float:
        """Return the seconds left; 0 or less where it has run out."""
        return (self.end - now) / SECOND_NS


def action_id(decision_id: str, actuator: str, target: Entity) -> str:
    """Return the action's id: 32 hex digits of SHA-256 over decision, means and target."""
    text = "\0".join((decision_id, actuator, target.kind, target.id))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def propose(
    *, decision_id: str, actuator: str, target: Entity, ts: int, now: int, lease_s: float, reason: str, impact: str
) -> Lease:
    """Return a proposed action with its end at `now` + `lease_s`; raise `TransitionError` where that is no end."""
    if not 0 < lease_s < math.inf:
        raise TransitionError("an action must end after it starts")
    end = now + max(round(lease_s * SECOND_NS), 1)
    identity = action_id(decision_id, actuator, target)
    action = Action(
        id=identity, decision_id=decision_id, actuator=actuator, target=target, ts=ts, lease_s=lease_s,
        state=ActionState.PROPOSED, reason=reason, impact=impact, undo=f"ostiary undo {identity}",
    )  # fmt: skip
    return Lease(action, end)


def _move(lease: Lease, state: ActionState) -> Lease:
    if state not in TRANSITIONS[lease.action.state]:
        raise TransitionError(f"an action cannot go from {lease.action.state} to {state}")
    return replace(lease, action=replace(lease.action, state=state))


def activate(lease: Lease) -> Lease:
    """Return the lease as active."""
    return _move(lease, ActionState.ACTIVE)


def extend(lease: Lease, now: int) -> Lease:
    """Return an active lease with a whole term before it again; it never gets shorter."""
    moved = _move(lease, ActionState.ACTIVE)
    return replace(moved, end=max(lease.end, now + round(lease.action.lease_s * SECOND_NS)))


def refuse(lease: Lease, why: str) -> Lease:
    """Return the lease as refused, with the guard's reason."""
    moved = _move(lease, ActionState.REFUSED)
    return replace(moved, action=replace(moved.action, reason=why))


def fail(lease: Lease, why: str) -> Lease:
    """Return the lease as failed, with what went wrong."""
    moved = _move(lease, ActionState.FAILED)
    return replace(moved, action=replace(moved.action, reason=why))


def expire(lease: Lease, now: int) -> Lease:
    """Return the lease as expired if its end has come; otherwise, or where it has ended before, unchanged."""
    if lease.action.state is not ActionState.ACTIVE or now < lease.end:
        return lease
    return _move(lease, ActionState.EXPIRED)


def undo(lease: Lease) -> Lease:
    """Return the lease as undone; where it has ended before, unchanged."""
    return lease if lease.action.state in ENDED else _move(lease, ActionState.UNDONE)
