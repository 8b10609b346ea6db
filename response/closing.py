"""Ending connections of those who were let in and no longer are.

Guarantees: in `observe` nothing is closed, and what would have been is told; the guards are asked first: never own
addresses, gateways, DNS servers or the never-list, never more an hour than allowed; what is closed is told to the
record before. Closing is the one action without an undo: whoever was let in connects again.
"""

from collections.abc import Callable, Sequence

from response import guards
from response.errors import ActuatorError, RefusedError
from response.ports import Closer
from response.settings import ResponseSettings
from response.values import Mode
from sensors.values import Entity


class Closing:
    """Closes connections. One object belongs to one thread."""

    def __init__(self, settings: ResponseSettings, closers: Sequence[Closer], never: guards.NeverList) -> None:
        self._settings, self._closers, self._never = settings, closers, never
        self._budget = guards.HourlyBudget(settings.max_actions_per_hour)

    def close(self, entity: Entity, now: int, told: Callable[[str], None]) -> int:
        """Close connections of an entity at `now` (ns); return how many.

        `told` hears first what is done or why not: closing, observed, the code of the guard that refused, then the code
        of each means that failed.
        """
        refusal = guards.check_target(entity, self._never)
        if refusal is None and self._budget.spent(now) >= self._settings.max_actions_per_hour:
            refusal = guards.Refusal("guard.budget", "as many actions were taken within the hour as allowed")
        if refusal is not None:
            told(refusal.code)
            return 0
        if Mode(self._settings.mode) is Mode.OBSERVE:
            told("observed")
            return 0
        told("closing")
        self._budget.spend(now)
        target, closed = guards.target_of(entity) or entity, 0
        for closer in self._closers:
            try:
                closed += closer.close(target)
            except RefusedError as error:
                told(error.reason)
            except ActuatorError as error:
                told(error.code)
        return closed
