"""The endpoint that gateways ask: a bare ASGI application.

    /auth-request   nginx's auth_request
    /health         200 while decisions are being made, 503 while they are not

Guarantees, in order: every question gets an answer; while a route observes, that answer is 200 whatever happens; where
it enforces, the answer is the decision's, or, when there is no decision for whatever reason, what the route declares
(open: 200, closed: 503, which nginx takes for an error), never by accident; each fresh decision is handed on for the
record before it is answered, and one that the record cannot take is answered all the same and counted: a flood must
not shut out everybody. Each failure is counted by its code. Knows no packet and no rule, reads no body, keeps no clock.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ostiary.settings import GateSettings
from policy.errors import DialectError, PolicyError
from policy.gateways import nginx
from policy.gateways.question import Answer, Question
from policy.values import AccessRequest, Decision
from policy.verdicts import Verdicts, question_key
from risk.values import Assessment
from sensors.values import Entity

Scope = Mapping[str, Any]  # ASGI's own messages are untyped mappings
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Decides(Protocol):
    """What decides: a `policy.decide.Decider`."""

    @property
    def revision(self) -> str: ...

    def decide(self, request: AccessRequest, assessment: Assessment | None) -> Decision: ...

    @property
    def waits(self) -> bool: ...

    async def decide_async(self, request: AccessRequest, assessment: Assessment | None) -> Decision: ...


@dataclass(slots=True)
class GateCounters:
    """What became of the questions."""

    questions: int = 0
    reused: int = 0
    """Answered from a decision that still held."""
    refused: int = 0
    """Answered with the enforced refusal of a decision."""
    unrecorded: int = 0
    """Decisions that were answered but that the record could not take."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """By verdict, whether enforced or only told."""
    undecided: Counter[str] = field(default_factory=Counter)
    """Questions without a decision, by the code of what went wrong."""


@dataclass(frozen=True, slots=True)
class _Route:
    """A route's settings with the defaults filled in."""

    sensitivity: str
    enforce: bool
    open: bool


class Gate:
    """The application. Its decider is made in the thread that serves it, when serving begins."""

    def __init__(
        self,
        make_decider: Callable[[], Decides],
        assess: Callable[[Entity, int], Assessment | None],
        clock: Callable[[], int],
        on_decision: Callable[[Decision, bool], None],
        settings: GateSettings | None = None,
        failure: Literal["closed", "open"] = "closed",
    ) -> None:
        """Take where decisions, assessments and the time (ns) come from, and where fresh decisions go.

        `on_decision` gets each fresh decision and whether it is enforced, and raises where it cannot take it. A
        decision that still holds answers the same question again without being handed on again.
        """
        self.counters = GateCounters()
        self._make_decider = make_decider
        self._assess = assess
        self._clock = clock
        self._on_decision = on_decision
        self._decider: Decides | None = None
        self._failing = False
        self._verdicts = Verdicts()
        settings = settings or GateSettings()
        self._default = _Route("normal", settings.mode == "enforce", failure == "open")
        self._routes = [
            (
                prefix,
                _Route(
                    route.sensitivity, (route.mode or settings.mode) == "enforce", (route.failure or failure) == "open"
                ),
            )
            for prefix, route in sorted(settings.routes.items(), key=lambda item: -len(item[0]))
        ]

    def prepare(self) -> None:
        """Make the decider now, in the thread that serves, rather than at the first question; raise `PolicyError`."""
        self._ready()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
        elif scope["path"] == "/auth-request":
            waits = self._decider is not None and self._decider.waits
            await _send(send, await self.answer_async(scope["headers"]) if waits else self.answer(scope["headers"]))
        elif scope["path"] == "/health":
            await self._health(send)
        else:
            await _send(send, Answer(404))

    def answer(self, headers: list[tuple[bytes, bytes]]) -> Answer:
        """Answer one question of nginx's; never raises."""
        route = self._asked(headers)
        try:
            return self._decided(self._decide(nginx.read_question(headers), route), route)
        except Exception as error:  # noqa: BLE001 - whatever broke, the answer is the declared one
            return self._undecided(error, route)

    async def answer_async(self, headers: list[tuple[bytes, bytes]]) -> Answer:
        """Answer the same by an engine that is elsewhere: nobody waits for somebody else's decision."""
        route = self._asked(headers)
        try:
            return self._decided(await self._decide_async(nginx.read_question(headers), route), route)
        except Exception as error:  # noqa: BLE001 - whatever broke, the answer is the declared one
            return self._undecided(error, route)

    def _asked(self, headers: list[tuple[bytes, bytes]]) -> _Route:
        self.counters.questions += 1
        return self._route(nginx.route_name(headers))

    def _decided(self, decision: Decision, route: _Route) -> Answer:
        answer = nginx.write_answer(decision, route.enforce)
        self._failing = False
        self.counters.verdicts[decision.verdict.value] += 1
        self.counters.refused += answer.status != 200
        return answer

    def _decide(self, question: Question, route: _Route) -> Decision:
        decider = self._ready()
        request, assessment, key = self._looked_up(question, route, decider)
        held = self._held(key, request.ts)
        return held or self._fresh(decider.decide(request, assessment), key, route)

    async def _decide_async(self, question: Question, route: _Route) -> Decision:
        decider = self._ready()
        request, assessment, key = self._looked_up(question, route, decider)
        held = self._held(key, request.ts)
        return held or self._fresh(await decider.decide_async(request, assessment), key, route)

    def _looked_up(
        self, question: Question, route: _Route, decider: Decides
    ) -> tuple[AccessRequest, Assessment | None, Hashable]:
        now = self._clock()
        request = question.access_request(now, route.sensitivity)
        assessment = self._assess(question.subject.entity, now)
        return request, assessment, question_key(request, assessment, decider.revision)

    def _held(self, key: Hashable, now: int) -> Decision | None:
        decision = self._verdicts.find(key, now)
        self.counters.reused += decision is not None
        return decision

    def _fresh(self, decision: Decision, key: Hashable, route: _Route) -> Decision:
        self._verdicts.keep(key, decision)
        self._record(decision, route)
        return decision

    def _record(self, decision: Decision, route: _Route) -> None:
        try:
            self._on_decision(decision, route.enforce)
        except Exception:  # noqa: BLE001 - the record's trouble is not the client's
            self.counters.unrecorded += 1

    def _undecided(self, error: Exception, route: _Route) -> Answer:
        code = error.code if isinstance(error, PolicyError) else "gate.internal"
        self.counters.undecided[code] += 1
        if not isinstance(error, DialectError):  # a bad question says nothing about how well we decide
            self._failing = True
        return nginx.write_undecided(code, allow=route.open or not route.enforce)

    def _route(self, name: str) -> _Route:
        return next((route for prefix, route in self._routes if name.startswith(prefix)), self._default)

    def _ready(self) -> Decides:
        if self._decider is None:
            self._decider = self._make_decider()
        return self._decider

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                try:
                    self._ready()
                except PolicyError as error:
                    await send({"type": "lifespan.startup.failed", "message": f"{error.code}: {error}"})
                    return
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _health(self, send: Send) -> None:
        revision = self._decider.revision if self._decider else ""
        body = json.dumps({"status": "failing" if self._failing else "ok", "policy_revision": revision}).encode()
        await _send(send, Answer(503 if self._failing else 200, ((b"content-type", b"application/json"),)), body)


async def _send(send: Send, answer: Answer, body: bytes = b"") -> None:
    headers = [*answer.headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
