"""What the enforcer does with a request, without the socket.

Guarantees: no answer without the guards having been asked with the facts of this moment; an address that is cut off
already costs no budget; whatever the request, an answer and never an exception. Letting in again is always allowed.
"""

from collections.abc import Callable

from ostiary.enforcer.protocol import Answer, Apply, Close, List, Ping, Request, Teardown, Undo, read_request
from response import guards
from response.errors import EnforcerProtocolError, RefusedError, ResponseError
from response.ports import Actuator, Closer
from response.responder import limits_of
from response.settings import ResponseSettings
from response.values import Mode
from sensors.values import Entity, EntityKind


class Enforcer:
    """Checks requests and carries them out. One object belongs to one thread."""

    def __init__(
        self,
        settings: Callable[[], ResponseSettings],
        actuator: Actuator,
        never: Callable[[ResponseSettings], guards.NeverList],
        clock: Callable[[], int],
        closer: Closer | None = None,
    ) -> None:
        """`settings` and `never` (whom to spare) are asked anew for each action; `clock` gives ns, never going back."""
        self._settings, self._actuator, self._never, self._clock = settings, actuator, never, clock
        self._closer = closer
        self._budget = guards.HourlyBudget(settings().max_actions_per_hour)

    def answer(self, line: bytes) -> Answer:
        """Return the answer to one line."""
        try:
            return self._carry_out(read_request(line))
        except RefusedError as error:
            return Answer(ok=False, code=error.code, reason=error.reason, text=str(error))
        except ResponseError as error:
            return Answer(ok=False, code=error.code, text=str(error))

    def _carry_out(self, request: Request) -> Answer:
        match request:
            case Apply():
                self._apply(request)
            case Undo():
                return Answer(ok=True, undone=self._actuator.undo(_target(request.target)))
            case Close():
                return Answer(ok=True, closed=self._close(request))
            case List():
                return Answer(ok=True, active=tuple((target.id, left) for target, left in self._actuator.active()))
            case Teardown():
                self._actuator.teardown()
            case Ping():
                pass
        return Answer(ok=True)

    def _close(self, request: Close) -> int:
        target, limits = self._allowed(request.target)
        if self._closer is None:
            raise RefusedError("guard.no-closer", "the enforcer has no means of closing connections")
        now = self._clock()
        refuse_if(guards.check_usage(guards.Usage(self._budget.spent(now), 0), limits))
        self._budget.spend(now)
        return self._closer.close(target)

    def _allowed(self, text: str) -> tuple[Entity, guards.Limits]:
        """Return whom an action is on, and its limits; raise `RefusedError` where nothing may be done to it."""
        settings = self._settings()
        limits = limits_of(settings)
        self._budget.resize(limits.per_hour)
        if Mode(settings.mode) is Mode.OBSERVE:
            raise RefusedError("guard.observe", "the enforcer's own settings say observe")
        target = _target(text)
        refuse_if(guards.check_target(target, self._never(settings)))
        return target, limits

    def _apply(self, request: Apply) -> None:
        target, limits = self._allowed(request.target)
        refuse_if(guards.check_lease(request.lease_s, limits))
        active = [blocked for blocked, _ in self._actuator.active()]
        if target not in active:
            now = self._clock()
            refuse_if(guards.check_usage(guards.Usage(self._budget.spent(now), len(active)), limits))
            self._budget.spend(now)
        self._actuator.apply(target, request.lease_s)


def refuse_if(refusal: guards.Refusal | None) -> None:
    """Raise `RefusedError` where a guard gave a reason."""
    if refusal is not None:
        raise RefusedError(refusal.code, refusal.text)


def _target(text: str) -> Entity:
    target = guards.target_of(Entity(EntityKind.IP, text))
    if target is None:
        raise EnforcerProtocolError("the target is not one single address")
    return target
