"""The gate: observes first, enforces when told, and fails as declared."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ostiary.gate import Gate
from ostiary.settings import GateSettings, RouteSettings
from policy.bundles import Bundle, load_bundle
from policy.decide import Decider
from policy.engines.apart import ApartEngine
from policy.engines.embedded import EmbeddedEngine
from policy.errors import BundleError, EngineUnavailableError, EvaluationError, PolicyError
from policy.values import AccessRequest, Decision
from risk.values import Assessment, Level
from sensors.values import Entity

NOW = 1_764_000_000_000_000_000
ROUTES = {
    "/admin/": RouteSettings("sensitive", "enforce", "closed"),
    "/admin/health": RouteSettings("public", "observe", "open"),
    "/shop/": RouteSettings("normal", "enforce", "open"),
}


class House:
    """Risk, time and the record, as the test wants them; the policy is the real one."""

    def __init__(self) -> None:
        self.now = NOW
        self.risks: dict[str, float] = {}
        self.failure: Exception | None = None
        self.decisions: list[tuple[Decision, bool]] = []
        self.decided = 0
        self._decider = Decider(EmbeddedEngine(load_bundle()))

    revision = "r1"
    waits = False

    def decide(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        self.decided += 1
        if self.failure:
            raise self.failure
        return self._decider.decide(request, assessment)

    async def decide_async(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        return self.decide(request, assessment)

    def assess(self, entity: Entity, at: int) -> Assessment | None:
        risk = self.risks.get(entity.id)
        if risk is None:
            return None
        return Assessment(at, entity, risk, Level.HIGH, 0.9, 1.0, 600.0, ("scan.vertical",), (), {}, "m")

    def record(self, decision: Decision, enforced: bool) -> None:
        self.decisions.append((decision, enforced))

    def gate(self, mode: str = "observe", failure: str = "closed", **routes: RouteSettings) -> Gate:
        gate_settings = GateSettings(mode=mode, routes={**ROUTES, **routes})  # type: ignore[arg-type]  # two literals
        return Gate(lambda: self, self.assess, lambda: self.now, self.record, gate_settings, failure)  # type: ignore[arg-type]


@pytest.fixture
def house() -> House:
    return House()


def headers(address: str = "192.0.2.7", route: str = "/", method: str = "GET") -> list[tuple[bytes, bytes]]:
    return [
        (b"x-real-ip", address.encode()),
        (b"x-original-method", method.encode()),
        (b"x-ostiary-route", route.encode()),
    ]


def call(gate: Gate, path: str, sent: list[tuple[bytes, bytes]] | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    asyncio.run(gate({"type": "http", "path": path, "headers": sent or []}, receive, send))
    start, body = messages
    return start["status"], dict(start["headers"]), body["body"]


def lifespan(gate: Gate) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    asyncio.run(gate({"type": "lifespan"}, receive, send))
    return messages


def test_it_observes_by_default(house: House) -> None:
    house.risks["192.0.2.7"] = 0.95
    gate = Gate(lambda: house, house.assess, lambda: house.now, house.record)
    status, sent, body = call(gate, "/auth-request", headers())
    assert (status, body) == (200, b"")
    assert sent[b"x-ostiary-verdict"] == b"isolate"
    assert sent[b"x-ostiary-decision"].decode() == house.decisions[0][0].id
    assert house.decisions[0][1] is False
    assert gate.counters.verdicts == {"isolate": 1}
    assert gate.counters.refused == 0


@pytest.mark.parametrize(
    ("risk", "route", "status", "verdict"),
    [
        (0.1, "/shop/", 200, "allow"),
        (0.5, "/shop/", 200, "throttle"),
        (0.8, "/shop/", 403, "deny"),
        (0.95, "/shop/", 403, "isolate"),
        (0.1, "/admin/", 401, "step_up"),
        (0.75, "/admin/users", 403, "isolate"),
        (0.95, "/admin/health", 200, "deny"),
        (0.95, "/elsewhere", 200, "isolate"),
    ],
)
def test_it_enforces_route_by_route(house: House, risk: float, route: str, status: int, verdict: str) -> None:
    house.risks["192.0.2.7"] = risk
    gate = house.gate()
    answer = gate.answer(headers(route=route))
    assert (answer.status, dict(answer.headers)[b"x-ostiary-verdict"].decode()) == (status, verdict)
    assert gate.counters.refused == (status != 200)


def test_a_mode_and_failure_for_all_routes(house: House) -> None:
    house.risks["192.0.2.7"] = 0.8
    assert house.gate("enforce").answer(headers()).status == 403
    house.failure = EvaluationError("broken")
    assert house.gate("enforce", "closed").answer(headers()).status == 503
    assert house.gate("enforce", "open").answer(headers()).status == 200


FAILURES: list[Exception] = [
    EvaluationError("broken"),
    EngineUnavailableError("gone"),
    PolicyError("anything"),
    RuntimeError("a bug"),
    RecursionError(),
    MemoryError(),
    UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("route", "status"), [("/admin/", 503), ("/shop/", 200), ("/admin/health", 200), ("/", 200)])
def test_it_fails_as_declared(house: House, failure: Exception, route: str, status: int) -> None:
    house.failure = failure
    gate = house.gate()
    answer = gate.answer(headers(route=route))
    code = getattr(failure, "code", "gate.internal")
    assert (answer.status, answer.headers) == (status, ((b"x-ostiary-error", code.encode()),))
    assert gate.counters.undecided == {code: 1}
    assert gate.counters.verdicts == {}
    assert house.decisions == []


@pytest.mark.parametrize("part", ["assess", "clock", "make_decider"])
def test_whatever_breaks_it_fails_as_declared(house: House, part: str) -> None:
    def broken(*_: object) -> Any:
        raise OSError("broken")

    parts: dict[str, Callable[..., Any]] = {
        "make_decider": lambda: house, "assess": house.assess, "clock": lambda: NOW,
    }  # fmt: skip
    parts[part] = broken
    gate = Gate(**parts, on_decision=house.record, settings=GateSettings(mode="enforce"))
    assert gate.answer(headers()).status == 503
    assert gate.counters.undecided == {"gate.internal": 1}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([], "gateway.header-missing"),
        (headers(address="garbage"), "gateway.client-address"),
        (headers(method="G T"), "gateway.method"),
        ([*headers(), (b"x-real-ip", b"192.0.2.8")], "gateway.header-twice"),
        ([*headers(), (b"cookie", b"x" * 20_000)], "gateway.header-size"),
    ],
)
def test_an_unreadable_question_fails_as_declared(house: House, sent: list[tuple[bytes, bytes]], code: str) -> None:
    for mode, failure, status in [("observe", "closed", 200), ("enforce", "closed", 503), ("enforce", "open", 200)]:
        gate = house.gate(mode, failure)
        assert gate.answer(sent).status == status
        assert gate.counters.undecided == {code: 1}
    assert house.gate().answer([(b"x-ostiary-route", b"/admin/")]).status == 503
    assert house.decided == 0


def test_an_unreadable_question_does_not_make_it_ill(house: House) -> None:
    gate = house.gate()
    gate.answer([])
    assert call(gate, "/health")[0] == 200


def test_health(house: House) -> None:
    gate = house.gate()
    assert lifespan(gate) == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    status, _, body = call(gate, "/health")
    assert (status, json.loads(body)) == (200, {"status": "ok", "policy_revision": "r1"})
    house.failure = EvaluationError("broken")
    gate.answer(headers())
    status, _, body = call(gate, "/health")
    assert (status, json.loads(body)["status"]) == (503, "failing")
    house.failure = None
    gate.answer(headers())
    assert call(gate, "/health")[0] == 200


def test_a_bundle_that_does_not_load_stops_the_start(house: House) -> None:
    def broken() -> House:
        raise BundleError("does not compile")

    gate = Gate(broken, house.assess, lambda: NOW, house.record)
    assert lifespan(gate) == [{"type": "lifespan.startup.failed", "message": "policy.bundle: does not compile"}]


def test_other_paths_and_kinds_of_connection(house: House) -> None:
    gate = house.gate()
    assert call(gate, "/")[0] == 404
    assert call(gate, "/auth-request/")[0] == 404
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(gate({"type": "websocket"}, None, send))  # type: ignore[arg-type]  # it must not receive
    assert sent == [{"type": "websocket.close", "code": 1003}]
    assert gate.counters.questions == 0


def test_a_decision_is_reused_only_while_it_holds(house: House) -> None:
    gate = house.gate()
    for _ in range(3):
        gate.answer(headers())
    assert (house.decided, gate.counters.reused, len(house.decisions)) == (1, 2, 1)
    house.now += 999_999_999
    gate.answer(headers())
    assert house.decided == 1
    house.now += 1
    gate.answer(headers())
    assert house.decided == 2
    house.now = NOW - 1
    gate.answer(headers())
    assert house.decided == 3


def test_anything_that_differs_is_decided_anew(house: House) -> None:
    gate = house.gate()
    gate.answer(headers())
    for sent in (headers("192.0.2.8"), headers(route="/shop/"), headers(method="POST")):
        gate.answer(sent)
    house.risks["192.0.2.7"] = 0.8
    assert gate.answer(headers(route="/shop/")).status == 403
    house.risks["192.0.2.7"] = 0.8001
    gate.answer(headers(route="/shop/"))
    house.revision = "r2"
    gate.answer(headers())
    assert (house.decided, gate.counters.reused) == (7, 0)


def test_a_record_that_is_full_is_counted_not_suffered(house: House) -> None:
    def full(_: Decision, __: bool) -> None:
        raise BufferError("full")

    gate = Gate(lambda: house, house.assess, lambda: NOW, full, GateSettings(mode="enforce"))
    assert gate.answer(headers()).status == 200
    assert (gate.counters.unrecorded, gate.counters.undecided) == (1, {})


class Elsewhere:
    """An engine that answers only once so many questions wait for it."""

    name, revision = "elsewhere", "r1"

    def __init__(self, together: int) -> None:
        self._engine = EmbeddedEngine(load_bundle())
        self._together, self._waiting, self._all = together, 0, asyncio.Event()

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        raise EngineUnavailableError("it would hold up everybody")

    async def evaluate_async(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        self._waiting += 1
        if self._waiting == self._together:
            self._all.set()
        await asyncio.wait_for(self._all.wait(), 60)
        if document["subject"]["id"] == "192.0.2.1":
            raise EngineUnavailableError("gone")
        return self._engine.evaluate(document)


def test_an_engine_elsewhere_holds_up_nobody(house: House) -> None:
    async def ask() -> list[int]:
        gate = Gate(
            lambda: Decider(Elsewhere(8)), house.assess, lambda: house.now, house.record, GateSettings(mode="enforce")
        )
        gate.prepare()
        statuses: list[int] = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        scopes = [
            {"type": "http", "path": "/auth-request", "headers": headers(f"192.0.2.{number}")} for number in range(8)
        ]
        await asyncio.gather(*(gate(scope, receive, send) for scope in scopes))
        assert gate.counters.undecided == {"policy.unavailable": 1}
        return sorted(statuses)

    assert asyncio.run(ask()) == [200] * 7 + [503]
    assert len(house.decisions) == 7


RUNS_ON = """package ostiary

decision := {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": count(numbers.range(1, 2000000000))} if {
	input.subject.id == "192.0.2.66"
} else := {"verdict": "allow", "reasons": [], "obligations": {}, "ttl_s": 0}
"""


@pytest.mark.parametrize(("route", "status"), [("/admin/", 503), ("/shop/", 200)])
def test_a_decision_that_takes_too_long_is_answered_as_declared_and_holds_up_nobody(
    house: House, route: str, status: int
) -> None:
    bundle = Bundle(Path(), {"policy.rego": RUNS_ON}, {}, {}, "r1")
    engine = ApartEngine(bundle, limit_s=0.3)
    settings = GateSettings(mode="enforce", routes=ROUTES)
    gate = Gate(lambda: Decider(engine), house.assess, lambda: house.now, house.record, settings)
    for _ in range(2):
        assert gate.answer(headers("192.0.2.66", route)).status == status
        assert gate.answer(headers("192.0.2.7", route)).status == 200
    assert gate.counters.undecided == {"policy.slow": 2}
    engine.close()
