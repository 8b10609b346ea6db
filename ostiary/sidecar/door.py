"""The doorkeeper: a question in, a ruling out, whatever the gateway and its dialect.

Guarantees, in order: every question gets a ruling; while a route observes, it is "allowed" whatever happens; where it
enforces, it is the decision's, or, when there is no decision for whatever reason, what the route declares (open,
closed, or the last known decision on the same question), never by accident; each fresh decision is handed on for the
record before it is answered, and one that the record cannot take is answered all the same and counted: a flood must
not shut out everybody. Each failure is counted by its code. Knows no packet and no rule, and keeps no clock.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Protocol

from ostiary.sidecar.counters import Counters
from ostiary.sidecar.live import Live
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Route, Routes
from ostiary.sidecar.throttle import Buckets
from ostiary.sidecar.traces import Traced
from policy.errors import DialectError, EngineUnavailableError, PolicyError
from policy.gateways.places import readings
from policy.gateways.values import NOTHING, Credentials, Question, Ruling
from policy.history import Histories
from policy.values import AccessRequest, Decision, Resource, Subject, Verdict
from policy.verdicts import Verdicts
from risk.values import Assessment
from sensors.entities import Entity

LAST_KNOWN = 65_536
"""Questions whose last decision is remembered for when there is none."""
EDGE_NS = 60_000_000_000
"""Windows of time in a policy begin and end on a minute: no decision is used across one."""
_ALLOWING = frozenset({Verdict.ALLOW, Verdict.THROTTLE})
_CLIENTS = ("gateway.", "authzen.")
"""Codes of what is wrong with a question; any other tells of a fault of ours."""
_REFUSING = frozenset({Verdict.DENY, Verdict.ISOLATE})


class Decides(Protocol):
    """What decides: a `policy.decide.Decider`."""

    @property
    def revision(self) -> str: ...

    @property
    def waits(self) -> bool: ...

    def decide(self, request: AccessRequest, assessment: Assessment | None) -> Decision: ...

    async def decide_async(self, request: AccessRequest, assessment: Assessment | None) -> Decision: ...


class Identifies(Protocol):
    """What turns credentials into a subject."""

    def subject(self, address: Entity, credentials: Credentials, now: int) -> Subject: ...

    def network(self, address: Entity) -> str: ...


class Door:
    """Answers questions. Belongs to the thread that serves; its parts may be replaced between two questions."""

    def __init__(
        self,
        routes: Routes,
        mirror: Mirror,
        identities: Identifies,
        record: Callable[[Decision], None],
        counters: Counters,
    ) -> None:
        """`record` gets each fresh decision, and raises where it cannot take it."""
        self.routes, self.mirror, self.identities, self.counters = routes, mirror, identities, counters
        self.decider: Decides | None = None
        self.overloaded = False
        self.failing = False
        self.challenge: Callable[[Question, int], str] = lambda _question, _now: ""
        """Where to send a browser that has to prove itself anew; "" where it is only told so."""
        self.traced: Traced = lambda _question, _ruling, _now: None
        """Hears of rulings on questions within a trace; never raises."""
        self.live = Live()
        """What was let in of late."""
        self._record = record
        self._verdicts = Verdicts()
        self._histories = Histories()
        self._last: OrderedDict[Hashable, Decision] = OrderedDict()
        self._buckets = Buckets()

    @property
    def waits(self) -> bool:
        """Tell whether decisions come from elsewhere, so that `rule_async` spares others the waiting."""
        return self.decider is not None and self.decider.waits

    def rule(self, question: Question, now: int) -> Ruling:
        """Return the ruling on a question asked at `now` (ns); never raises."""
        ruling = self._rule(question, now)
        if question.trace:
            self.traced(question, ruling, now)
        return ruling

    async def rule_async(self, question: Question, now: int) -> Ruling:
        """Return the same by an engine that is elsewhere: nobody waits for somebody else's decision."""
        ruling = await self._rule_async(question, now)
        if question.trace:
            self.traced(question, ruling, now)
        return ruling

    def _rule(self, question: Question, now: int) -> Ruling:
        asked = self._asked(question)
        if isinstance(asked, Ruling):
            return asked
        try:
            decider, request, key = self._looked_up(question, asked, now)
            held = self._verdicts.find(key, now)
            decision = held or decider.decide(request, self.mirror.assess(request.subject.entity, now))
        except Exception as error:  # noqa: BLE001 - whatever broke, the ruling is the declared one
            return self._failed(error, asked, question)
        return self._decided(decision, None if held else (key, request), asked, question, now)

    async def _rule_async(self, question: Question, now: int) -> Ruling:
        asked = self._asked(question)
        if isinstance(asked, Ruling):
            return asked
        try:
            decider, request, key = self._looked_up(question, asked, now)
            held = self._verdicts.find(key, now)
            decision = held or await decider.decide_async(request, self.mirror.assess(request.subject.entity, now))
        except Exception as error:  # noqa: BLE001 - whatever broke, the ruling is the declared one
            return self._failed(error, asked, question)
        return self._decided(decision, None if held else (key, request), asked, question, now)

    def unreadable(self, code: str, place: str) -> Ruling:
        """Return the ruling where the question itself could not be read; `place` is what of it was sent.

        Where refusals are meant it is refused, however the route fails: else whoever is refused would ask unreadably.
        What could be taken for several places counts as the strictest of them.
        """
        self.counters.add("questions")
        route = self.routes.strictest(readings(place))
        if not code.startswith(_CLIENTS):
            return self._undecided(code, route, None)
        self.counters.undecided(code)
        return Ruling(not route.enforce, None, code, enforced=route.enforce, unreadable=True)

    def _asked(self, question: Question) -> Route | Ruling:
        """Return the question's route, or the ruling where there is no time for a decision."""
        self.counters.add("questions")
        route = self.routes.find(question.place)
        if not self.overloaded or route.critical:
            return route
        self.counters.add("shed")
        return self._undecided("gate.overloaded", route, question)

    def _looked_up(self, question: Question, route: Route, now: int) -> tuple[Decides, AccessRequest, Hashable]:
        """Return what decides, the request, and the key of decisions that hold for it."""
        decider = self.decider
        if decider is None:
            raise EngineUnavailableError("no policy is known yet")
        request = self._request(question, route, now)
        key = (
            decider.revision, self.mirror.version(request.subject.entity), now // EDGE_NS, request.subject,
            request.resource, request.action, tuple(request.environment.items()), request.network, request.place,
            request.sensor, request.history,
        )  # fmt: skip
        return decider, request, key

    def _request(self, question: Question, route: Route, now: int) -> AccessRequest:
        history, named = self._histories.of(question.address, now), question.named
        if named is not None:
            return replace(named, resource=replace(named.resource, sensitivity=route.sensitivity), history=history)
        subject = self.identities.subject(question.address, question.credentials, now)
        resource = Resource(question.kind, route.name, route.sensitivity)
        network, facts = self.identities.network(question.address), {"gateway": question.gateway}
        return AccessRequest(now, subject, resource, question.method, facts, network, history=history)

    def _hand_on(self, decision: Decision) -> None:
        try:
            self._record(decision)
        except Exception:  # noqa: BLE001 - the record's trouble is not the client's
            self.counters.add("unrecorded")

    def judge_again(self, request: AccessRequest, now: int, *, revoked: bool = False) -> Decision | None:
        """Return the decision that what was let in is to end; None where it may go on, or nobody can say.

        `revoked`: what proved the identity counts no more, so the subject is nameless, and whoever has to prove more
        is to end as well: what is open cannot be asked. Takes no share of a throttled subject, and is never a matter of
        overload or of how a route fails.
        """
        route = self.routes.find(request.resource.name)
        if self.decider is None or self.decider.waits or not route.enforce:
            return None
        entity = request.subject.entity
        resource, history = replace(request.resource, sensitivity=route.sensitivity), self._histories.of(entity, now)
        subject = Subject(entity) if revoked else request.subject
        asked = replace(request, ts=now, subject=subject, resource=resource, history=history)
        try:
            decision = self.decider.decide(asked, self.mirror.assess(entity, now))
        except Exception:  # noqa: BLE001 - what cannot be decided ends nothing
            return None
        if decision.verdict in _ALLOWING or (decision.verdict not in _REFUSING and not revoked):
            return None
        self._hand_on(decision)
        self.live.forget(request)
        return decision

    def _decided(
        self, decision: Decision, fresh: tuple[Hashable, AccessRequest] | None, route: Route, question: Question,
        now: int,
    ) -> Ruling:  # fmt: skip
        self.failing = False
        if fresh is None:
            self.counters.add("reused")
        else:
            key, request = fresh
            self._verdicts.keep(key, decision)
            if decision.verdict in _ALLOWING or not route.enforce:
                self.live.note(request)
            if route.failure == "last-known":
                self._remember(_same(question, route), decision)
            self._hand_on(decision)
            if decision.verdict in _REFUSING:
                self._histories.note(decision.entity, now)
        verdict, enforce = decision.verdict, route.enforce
        self.counters.verdict(verdict, enforce)
        if not enforce:
            return Ruling(True, decision)
        over = verdict is Verdict.THROTTLE and self._over(decision, now)
        allowed = verdict in _ALLOWING and not over
        if not allowed:
            self.counters.add("over" if over else "refused")
        challenge = self.challenge(question, now) if verdict is Verdict.STEP_UP and question.back else ""
        return Ruling(allowed, decision, enforced=True, over=over, challenge=challenge)

    def _over(self, decision: Decision, now: int) -> bool:
        """Tell whether a throttled subject has used up its share for now."""
        rate = decision.obligations.get("requests_per_s")
        limited = isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0
        return limited and rate is not None and not self._buckets.take(decision.entity, float(rate), now)

    def _failed(self, error: Exception, route: Route, question: Question) -> Ruling:
        if not isinstance(error, DialectError):  # a bad question says nothing about how well we decide
            self.failing = True
        code = error.code if isinstance(error, PolicyError) else "gate.internal"
        return self._undecided(code, route, question)

    def _undecided(self, code: str, route: Route, question: Question | None) -> Ruling:
        self.counters.undecided(code)
        if not route.enforce:
            return Ruling(True, None, code)
        if route.failure == "last-known" and question is not None:
            last = self._last.get(_same(question, route))
            if last is not None:
                return Ruling(last.verdict in _ALLOWING, last, code, enforced=True)
        return Ruling(route.failure == "open", None, code, enforced=True)

    def _remember(self, same: Hashable, decision: Decision) -> None:
        self._last[same] = decision
        self._last.move_to_end(same)
        if len(self._last) > LAST_KNOWN:
            self._last.popitem(last=False)


def _same(question: Question, route: Route) -> Hashable:
    """Return what makes two questions the same but for time and risk; credentials are not kept, their digest is."""
    brought, named = question.credentials, question.named and question.named.subject
    proof = b"" if brought == NOTHING else hashlib.sha256(repr(brought).encode("utf-8", "replace")).digest()
    return question.address, proof, named, route.name, question.method, question.kind
