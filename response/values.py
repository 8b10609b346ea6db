"""What the response layer hands on: actions, each a lease with an end, an undo and a guard."""

from dataclasses import dataclass
from enum import StrEnum

from sensors.values import Entity


class Mode(StrEnum):
    """Whether something is really done. Observe is the default everywhere."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class ActionState(StrEnum):
    """Where an action stands. `PROPOSED`: would have been taken; `REFUSED`: a guard forbids it."""

    PROPOSED = "proposed"
    REFUSED = "refused"
    ACTIVE = "active"
    EXPIRED = "expired"
    UNDONE = "undone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Action:
    """One action on one target. The kernel or the gateway ends it even when we are dead."""

    id: str
    decision_id: str
    actuator: str
    target: Entity
    ts: int
    """Event time of the decision, ns."""
    lease_s: float
    state: ActionState
    reason: str
    """Why it was taken or would be; for `REFUSED` and `FAILED` why not."""
    impact: str
    """What was found beforehand, in words: whom it touches besides its target."""
    undo: str
    """How to undo it, as the operator would type it."""
