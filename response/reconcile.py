"""What became of actions while nobody watched: the stored ones compared with what the means really holds.

Pure. The means is right about what stands and for how long; the store is right about why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from response import guards, leases
from response.leases import Lease
from response.values import Action, ActionState
from sensors.values import Entity


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Where each action stands now."""

    standing: tuple[Lease, ...]
    ended: tuple[Lease, ...]
    """Stored as active, but the means holds them no more."""
    unknown: tuple[Lease, ...]
    """Held by the means, but nobody has stored why."""


def reconcile(stored: Iterable[Action], held: Sequence[tuple[Entity, float]], actuator: str, now: int) -> Reconciled:
    """Compare stored actions with what an actuator holds (target, seconds left) at `now` (ns)."""
    left: Mapping[Entity, float] = dict(held)
    known = {action.target: action for action in stored if action.state is ActionState.ACTIVE}
    ended = (leases.expire(Lease(action, now), now) for target, action in known.items() if target not in left)
    return Reconciled(
        standing=tuple(Lease(action, _end(left[target], now)) for target, action in known.items() if target in left),
        ended=tuple(ended),
        unknown=tuple(_unknown(target, s, actuator, now) for target, s in held if target not in known),
    )


def _end(left_s: float, now: int) -> int:
    return now + round(min(left_s, guards.MAX_LEASE_S) * leases.SECOND_NS)


def _unknown(target: Entity, left_s: float, actuator: str, now: int) -> Lease:
    lease_s = max(min(left_s, guards.MAX_LEASE_S), 1.0)
    proposed = leases.propose(
        decision_id="", actuator=actuator, target=target, ts=now, now=now, lease_s=lease_s,
        reason="found active, nobody has stored why", impact="not known",
    )  # fmt: skip
    return leases.activate(proposed)
