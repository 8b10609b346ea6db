"""The doorkeeper: observes first, enforces when told, and fails as declared."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ostiary.settings import GateSettings, RouteSettings
from ostiary.sidecar.counters import CODES, Counters
from ostiary.sidecar.door import EDGE_NS, LAST_KNOWN, Door
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Failure, Routes
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.errors import EngineUnavailableError, EvaluationError, PolicyError
from policy.gateways.values import Credentials, Question, Ruling
from policy.identity import Identities
from policy.values import AccessRequest, Decision, Verdict
from risk.standing import Part, Standing
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

NOW = 1_764_000_000_000_000_000 // EDGE_NS * EDGE_NS
CLIENT = Entity(EntityKind.IP, "192.0.2.7")
ROUTES = {
    "/admin": RouteSettings("sensitive", "enforce", "closed"),
    "/admin/health": RouteSettings("public", "observe", "open"),
    "/shop": RouteSettings("normal", "enforce", "open"),
    "/pay": RouteSettings("normal", "enforce", "last-known"),
    "/vital": RouteSettings("normal", "enforce", "closed", critical=True),
}


class House:
    """Risk, time and the record, as the test wants them; the policy is the real one."""

    waits = False

    def __init__(self, mode: str = "observe", failure: Failure = "closed", **routes: RouteSettings) -> None:
        self.now = NOW
        self.failure: Exception | None = None
        self.decisions: list[Decision] = []
        self.decided = 0
        self.revision = "r1"
        self._decider = Decider(EmbeddedEngine(load_bundle()))
        self.counters = Counters()
        self.mirror = Mirror()
        self.mirror.synced_ns = NOW
        settings = GateSettings(mode=mode, routes={**ROUTES, **routes})  # type: ignore[arg-type]  # two literals
        self.door = Door(Routes(settings, failure), self.mirror, Identities(), self.record, self.counters)
        self.door.decider = self

    def decide(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        self.decided += 1
        if self.failure:
            raise self.failure
        return self._decider.decide(request, assessment)

    async def decide_async(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        return self.decide(request, assessment)

    def record(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def risk(self, risk: float, entity: Entity = CLIENT) -> None:
        self.mirror.put(Standing(NOW, entity, Level.LOW, 1.0, (Part("scan.vertical", risk, 1e9, 1.0),)))

    def ask(self, place: str = "/", **changes: Any) -> Ruling:
        return self.door.rule(replace(Question(CLIENT, "GET", place, "nginx"), **changes), self.now)


@pytest.fixture
def house() -> House:
    return House()


def verdict(ruling: Ruling) -> Verdict | None:
    return ruling.decision and ruling.decision.verdict


def test_it_observes_by_default(house: House) -> None:
    house.risk(0.95)
    ruling = house.ask()
    assert (ruling.allowed, ruling.enforced, verdict(ruling)) == (True, False, Verdict.ISOLATE)
    assert house.decisions == [ruling.decision]
    assert (house.counters.total("observed.isolate"), house.counters.total("refused")) == (1, 0)


@pytest.mark.parametrize(
    ("risk", "place", "allowed", "expected"),
    [
        (0.1, "/shop", True, "allow"),
        (0.5, "/shop", True, "throttle"),
        (0.8, "/shop", False, "deny"),
        (0.95, "/shop/cart", False, "isolate"),
        (0.1, "/admin", False, "step_up"),
        (0.75, "/admin/users", False, "isolate"),
        (0.95, "/admin/health", True, "deny"),
        (0.95, "/elsewhere", True, "isolate"),
        (0.95, "/shopping", True, "isolate"),  # another segment, so another route
    ],
)
def test_it_enforces_route_by_route(house: House, risk: float, place: str, allowed: bool, expected: str) -> None:
    house.risk(risk)
    ruling = house.ask(place)
    assert (ruling.allowed, verdict(ruling)) == (allowed, expected)
    assert house.counters.total("refused") == (not allowed)


@pytest.mark.parametrize("failure", ["closed", "open", "last-known"])
def test_a_mode_and_failure_for_all_routes(failure: Failure) -> None:
    house = House("enforce", failure)
    house.risk(0.8)
    assert not house.ask().allowed
    house.now += 2_000_000_000
    house.failure = EvaluationError("broken")
    assert house.ask().allowed is (failure == "open")
    assert house.ask("/never-asked").allowed is (failure == "open")


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
@pytest.mark.parametrize(
    ("place", "allowed"), [("/admin", False), ("/shop", True), ("/admin/health", True), ("/", True), ("/pay", False)]
)
def test_it_fails_as_declared(house: House, failure: Exception, place: str, allowed: bool) -> None:
    house.failure = failure
    ruling = house.ask(place)
    code = getattr(failure, "code", "gate.internal")
    assert (ruling.allowed, ruling.decision, ruling.code) == (allowed, None, code)
    counted = code if code in CODES else "other"
    assert house.counters.total(f"undecided.{counted}") == 1
    assert house.decisions == []
    assert house.door.failing


def test_the_last_known_decision_answers_where_a_route_says_so(house: House) -> None:
    house.risk(0.8)
    assert not house.ask("/pay").allowed
    house.risk(0.05)
    house.now += 2_000_000_000
    assert house.ask("/pay").allowed
    house.failure = EvaluationError("broken")
    house.now += 2_000_000_000
    ruling = house.ask("/pay")
    assert (ruling.allowed, verdict(ruling), ruling.code) == (True, Verdict.ALLOW, "policy.evaluation")
    for other in (
        {"method": "POST"},
        {"credentials": Credentials(api_key="k")},
        {"address": Entity(EntityKind.IP, "192.0.2.8")},
    ):
        assert not house.ask("/pay", **other).allowed  # nothing is known of that question


def test_the_last_known_decisions_are_bounded_and_hold_no_credential(house: House) -> None:
    house.ask("/pay", credentials=Credentials(authorization="Bearer secret"))
    assert "secret" not in repr(house.door._last)
    for number in range(LAST_KNOWN + 5):
        house.door._remember(number, house.decisions[0])
    assert len(house.door._last) == LAST_KNOWN


@pytest.mark.parametrize("part", ["mirror", "identities", "decider"])
def test_whatever_breaks_it_fails_as_declared(part: str) -> None:
    house = House("enforce")
    setattr(house.door, part, None if part == "decider" else object())
    ruling = house.ask()
    assert (ruling.allowed, ruling.code) == (False, "policy.unavailable" if part == "decider" else "gate.internal")


def test_an_unreadable_question_is_no_way_in_and_does_not_make_it_ill(house: House) -> None:
    assert house.door.unreadable("gateway.header-missing", "/").allowed  # it observes
    for place in ("/admin", "/shop", "/pay", "/elsewhere/..%2fshop"):  # however they fail
        ruling = house.door.unreadable("gateway.header-size", place)
        assert (ruling.allowed, ruling.unreadable) == (False, True)
    assert (house.counters.total("undecided.gateway"), house.decided, house.door.failing) == (5, 0, False)


def test_a_fault_of_ours_while_reading_fails_as_declared(house: House) -> None:
    assert house.door.unreadable("gate.internal", "/shop").allowed
    assert not house.door.unreadable("gate.internal", "/admin").allowed


def test_a_decision_is_reused_only_while_it_holds(house: House) -> None:
    for _ in range(3):
        house.ask()
    assert (house.decided, house.counters.total("reused"), len(house.decisions)) == (1, 2, 1)
    house.now += 999_999_999
    house.ask()
    assert house.decided == 1
    house.now += 1
    house.ask()
    assert house.decided == 2
    house.now = NOW - 1
    house.ask()
    assert house.decided == 3


def test_no_decision_is_used_across_an_edge_of_time(house: House) -> None:
    house.now = NOW + EDGE_NS - 1
    house.ask()
    house.now += 1
    house.ask()
    assert house.decided == 2


def test_anything_that_differs_is_decided_anew(house: House) -> None:
    house.ask()
    for changes in (
        {"address": Entity(EntityKind.IP, "192.0.2.8")}, {"place": "/shop"}, {"method": "POST"},
        {"gateway": "envoy"}, {"kind": "network"},
    ):  # fmt: skip
        house.ask(**{"place": "/", **changes})
    house.risk(0.8)
    assert not house.ask("/shop").allowed
    house.risk(0.8001)
    house.ask("/shop")
    house.revision = "r2"
    house.ask()
    assert (house.decided, house.counters.total("reused")) == (9, 0)


def test_a_refusal_is_part_of_the_next_questions_history(house: House) -> None:
    house.risk(0.8)
    for place in ("/shop", "/shop/a", "/admin"):
        house.ask(place)
    assert [decision.document["history"]["refused"] for decision in house.decisions] == [0, 1, 2]


def test_a_throttled_subject_has_its_share_and_no_more(house: House) -> None:
    house.risk(0.5)
    rulings = [house.ask("/shop") for _ in range(200)]
    rate = rulings[0].decision and rulings[0].decision.obligations["requests_per_s"]
    assert sum(ruling.allowed for ruling in rulings) == rate
    assert rulings[-1].over and not rulings[0].over
    house.now += 500_000_000
    assert house.ask("/shop").allowed
    assert all(house.ask("/elsewhere").allowed for _ in range(200))  # it observes


def test_what_is_not_vital_is_shed_when_there_is_no_time(house: House) -> None:
    house.door.overloaded = True
    assert house.ask("/vital").decision is not None
    for place, allowed in (("/shop", True), ("/admin", False), ("/", True)):
        ruling = house.ask(place)
        assert (ruling.allowed, ruling.code) == (allowed, "gate.overloaded")
    assert (house.counters.total("shed"), house.decided) == (3, 1)


def test_a_record_that_is_full_is_counted_not_suffered() -> None:
    house = House("enforce")

    def full(_: Decision) -> None:
        raise BufferError("full")

    house.door._record = full
    assert house.ask().allowed
    assert (house.counters.total("unrecorded"), house.counters.total("undecided.gate.internal")) == (1, 0)


def test_a_browser_is_sent_where_it_can_prove_itself(house: House) -> None:
    house.door.challenge = lambda question, _now: f"/prove?back={question.back}"
    assert house.ask("/admin", back="/admin").challenge == "/prove?back=/admin"
    assert house.ask("/admin").challenge == ""


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


def test_an_engine_elsewhere_holds_up_nobody() -> None:
    house = House("enforce")
    house.door.decider = Decider(Elsewhere(8))
    assert house.door.waits

    async def ask() -> list[Ruling]:
        questions = [Question(Entity(EntityKind.IP, f"192.0.2.{number}"), "GET", "/", "nginx") for number in range(8)]
        return await asyncio.gather(*(house.door.rule_async(question, NOW) for question in questions))

    rulings = asyncio.run(ask())
    assert [ruling.allowed for ruling in rulings] == [True, False] + [True] * 6
    assert rulings[1].code == "policy.unavailable"
    assert len(house.decisions) == 7
