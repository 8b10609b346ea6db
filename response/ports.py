"""What the response layer needs of others: a means of action and an audit log, filled in by the composition."""

from collections.abc import Sequence
from typing import Protocol

from response.values import Action
from sensors.values import Entity


class AuditSink(Protocol):
    """Where every change of an action's state is written before anybody can see its effect."""

    def record(self, action: Action) -> None:
        """Write the action in its new state durably before returning; raise if that cannot be done."""
        ...


class Closer(Protocol):
    """A means of ending connections of a single address. May be called again without harm."""

    name: str

    def close(self, target: Entity) -> int:
        """End connections of `target` and return how many. Raises `RefusedError` and `ActuatorError`."""
        ...


class Actuator(Protocol):
    """A means of cutting a single address off. Every method may be called again without harm."""

    name: str

    def apply(self, target: Entity, lease_s: float) -> None:
        """Cut `target` off for `lease_s` seconds from now, whether or not it was before.

        The kernel or gateway ends it even when we are dead. Raises `RefusedError` and `ActuatorError`.
        """
        ...

    def undo(self, target: Entity) -> bool:
        """Let `target` in again; return whether it was cut off. Raises `ActuatorError`."""
        ...

    def active(self) -> Sequence[tuple[Entity, float]]:
        """Return what is cut off now, with the seconds left, by target. Raises `ActuatorError`."""
        ...

    def teardown(self) -> None:
        """Undo everything and leave no trace. Raises `ActuatorError`."""
        ...
