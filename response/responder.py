"""From decisions to actions.

Guarantees, in order: only a verdict `deny` or `isolate` on a single address leads to anything; guards are asked in
observe mode too, so that a proposal says what enforcement would have done; every change of state is recorded by the
audit sink before its effect is visible, and nothing happens when it cannot be; a target has at most one action at a
time, whose lease a later decision extends; an undo may be repeated. Tables are bounded.

It starts nothing by itself: the kernel ends leases, and `expire` only writes that down. One object belongs to one
thread. `now` is the present in ns; it never has to be the event time, since leases run in real time.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

from policy.values import Decision, Verdict
from response import guards, leases
from response.errors import ActuatorError, MissingActuatorError, MissingSinkError, RefusedError
from response.impact import Surroundings, describe
from response.leases import Lease
from response.ports import Actuator, AuditSink
from response.reconcile import reconcile
from response.settings import ResponseSettings
from response.values import Action, Mode
from sensors.values import Entity, EntityKind

ACTING = frozenset({Verdict.DENY, Verdict.ISOLATE})
RETRY_S = 5.0
"""What failed is not tried again on the same target within so many seconds."""
ASK_AGAIN_S = 60.0
"""What a guard refused is not asked again for the same target within so many seconds."""
MAX_REMEMBERED = 10_000
"""Refusals and failures kept, so that a repeated decision does not repeat them."""


def limits_of(settings: ResponseSettings) -> guards.Limits:
    """Return the guards' limits."""
    return guards.Limits(settings.max_actions_per_hour, settings.max_active, settings.lease_s)


class Responder:
    """Turns decisions into actions, or into what would have been done."""

    def __init__(
        self, settings: ResponseSettings, actuator: Actuator | None, never: guards.NeverList, audit: AuditSink | None
    ) -> None:
        if audit is None:
            raise MissingSinkError("nothing may be done or proposed without an audit log")
        if actuator is None and Mode(settings.mode) is Mode.ENFORCE:
            raise MissingActuatorError("the mode is enforce, but there is nothing to act with")
        self._settings, self._actuator, self._never, self._audit = settings, actuator, never, audit
        self._limits = limits_of(settings)
        self._budget = guards.HourlyBudget(settings.max_actions_per_hour)
        # Each by its end, soonest first, so that what has ended is found without a search.
        self._active: OrderedDict[Entity, Lease] = OrderedDict()
        self._proposed: OrderedDict[Entity, Lease] = OrderedDict()
        self._denied: OrderedDict[Entity, Lease] = OrderedDict()

    @property
    def mode(self) -> Mode:
        """Whether something is really done."""
        return Mode(self._settings.mode)

    def consider(self, decision: Decision, now: int, around: Surroundings | None = None) -> Action | None:
        """Return the action that a decision leads to; None where it leads to none.

        While an action on the target stands it is returned again (its lease extended once half of it has run out).
        Raises what the audit sink raises; then nothing was done.
        """
        if decision.verdict not in ACTING or decision.entity.kind is not EntityKind.IP:
            return None
        target = guards.target_of(decision.entity) or decision.entity
        self.expire(now)
        if target in self._active:
            return self._extend(self._active[target], now)
        known = self._proposed.get(target) or self._denied.get(target)
        if known is not None and known.left_s(now) > 0:
            return known.action
        return self._begin(self._propose(decision, target, now, around), now)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Write down which leases have run out by themselves, and return their actions."""
        for table in (self._proposed, self._denied):
            for lease in _run_out(table, now):
                del table[lease.action.target]
        return tuple(self._finish(leases.expire(lease, now)) for lease in _run_out(self._active, now))

    def undo(self, which: str | Entity) -> Action | None:
        """Undo the action with an id or on a target; None where there is nothing (any more) to undo."""
        for target, lease in self._active.items():
            if which in (lease.action.id, target):
                return self._lift(lease)
        return None

    def undo_all(self) -> tuple[Action, ...]:
        """Undo every action, then whatever else the means still holds, e.g. from before a restart."""
        undone = tuple(self._lift(lease) for lease in tuple(self._active.values()))
        if self._actuator is not None:
            self._actuator.teardown()
        return undone

    def adopt(self, stored: Iterable[Action], now: int) -> tuple[Action, ...]:
        """Take over what an earlier process left behind; return what has changed meanwhile.

        `stored` are its actions that were active. What the means holds no more has expired; what it holds and nobody
        knows stands without a decision; what has become protected since is undone at once. Raises `ActuatorError`.
        """
        if self._actuator is None:
            return ()
        found = reconcile(stored, self._actuator.active(), self._actuator.name, now)
        for lease in (*found.ended, *found.unknown):
            self._audit.record(lease.action)
        standing = sorted((*found.standing, *found.unknown), key=lambda lease: lease.end)
        self._active.update({lease.action.target: lease for lease in standing})
        spared = [one for one in self._active.values() if guards.check_target(one.action.target, self._never)]
        lifted = [self._lift(lease) for lease in spared]
        return (*(lease.action for lease in (*found.ended, *found.unknown)), *lifted)

    def active(self) -> tuple[Action, ...]:
        """Return the actions that stand, oldest first."""
        return tuple(lease.action for lease in self._active.values())

    def _propose(self, decision: Decision, target: Entity, now: int, around: Surroundings | None) -> Lease:
        codes = ", ".join(reason.code for reason in decision.reasons) or "no reason given"
        return leases.propose(
            decision_id=decision.id, actuator=self._settings.actuator, target=target, ts=decision.ts, now=now,
            lease_s=self._settings.lease_s, reason=f"{decision.verdict}: {codes}", impact=describe(around),
        )  # fmt: skip

    def _begin(self, lease: Lease, now: int) -> Action:
        refusal = guards.check(lease.action.target, lease.action.lease_s, self._never, self._usage(now), self._limits)
        if refusal is not None:
            return self._deny(leases.refuse(lease, refusal.text), now, ASK_AGAIN_S)
        self._budget.spend(now)
        if self.mode is Mode.OBSERVE or self._actuator is None:
            self._audit.record(lease.action)
            self._proposed[lease.action.target] = lease
            self._proposed.move_to_end(lease.action.target)
            return lease.action
        return self._enforce(self._actuator, lease, now)

    def _enforce(self, actuator: Actuator, lease: Lease, now: int) -> Action:
        started = leases.activate(lease)
        self._audit.record(started.action)
        target = lease.action.target
        try:
            actuator.apply(target, lease.action.lease_s)
        except RefusedError as error:
            return self._deny(leases.refuse(started, str(error)), now, ASK_AGAIN_S)
        except ActuatorError as error:
            return self._deny(leases.fail(started, str(error)), now, RETRY_S)
        self._active[target] = started
        return started.action

    def _extend(self, lease: Lease, now: int) -> Action:
        if self._actuator is None or self.mode is Mode.OBSERVE or lease.left_s(now) > lease.action.lease_s / 2:
            return lease.action
        longer = leases.extend(lease, now)
        self._audit.record(longer.action)
        try:
            self._actuator.apply(longer.action.target, longer.action.lease_s)
        except (ActuatorError, RefusedError):
            self._audit.record(lease.action)  # it stands until its old end
            return lease.action
        self._active[longer.action.target] = longer
        self._active.move_to_end(longer.action.target)
        return longer.action

    def _lift(self, lease: Lease) -> Action:
        undone = leases.undo(lease)
        self._audit.record(undone.action)
        try:
            if self._actuator is not None:
                self._actuator.undo(undone.action.target)
        except ActuatorError:
            self._audit.record(lease.action)  # it still stands
            raise
        del self._active[undone.action.target]
        return undone.action

    def _finish(self, lease: Lease) -> Action:
        self._audit.record(lease.action)
        del self._active[lease.action.target]
        return lease.action

    def _deny(self, lease: Lease, now: int, for_s: float) -> Action:
        self._audit.record(lease.action)
        self._denied[lease.action.target] = replace(lease, end=now + round(for_s * leases.SECOND_NS))
        self._denied.move_to_end(lease.action.target)
        if len(self._denied) > MAX_REMEMBERED:
            self._denied.popitem(last=False)
        return lease.action

    def _usage(self, now: int) -> guards.Usage:
        return guards.Usage(self._budget.spent(now), len(self._active) + len(self._proposed))


def _run_out(table: OrderedDict[Entity, Lease], now: int) -> tuple[Lease, ...]:
    return tuple(takewhile(lambda lease: now >= lease.end, table.values()))
