"""A shadow is heard and changes nothing."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.bundles import load_bundle
from policy.decide import Decider, decision_record
from policy.engines.embedded import EmbeddedEngine
from policy.errors import BundleError, EvaluationError
from policy.shadow import Missing, Scope, ShadowedDecider
from policy.values import AccessRequest, Resource, ShadowAnswer, Subject
from risk.values import Assessment
from sensors.values import Entity, EntityKind

GOOD = {"verdict": "deny", "reasons": [{"code": "a.b", "text": "A."}], "obligations": {}, "ttl_s": 3}


class Fixed:
    name, revision = "fixed", "r2"

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(self._answer, Exception):
            raise type(self._answer)(*self._answer.args)  # a fresh one keeps no frame, and no engine, alive
        answer: Mapping[str, Any] = self._answer
        return answer


@pytest.mark.parametrize(
    ("shadow", "expected"),
    [
        (Fixed(GOOD), ShadowAnswer("r2", "deny", "a.b")),
        (Fixed({**GOOD, "reasons": []}), ShadowAnswer("r2", "deny", "")),
        (Fixed(EvaluationError("broken")), ShadowAnswer("r2", "", "policy.evaluation")),
        (Fixed(RuntimeError("broken")), ShadowAnswer("r2", "", "policy.error")),
        (Fixed({**GOOD, "verdict": "perhaps"}), ShadowAnswer("r2", "", "policy.answer")),
        (Fixed(None), ShadowAnswer("r2", "", "policy.error")),
        (Missing(BundleError, "gone"), ShadowAnswer("", "", "policy.bundle")),
    ],
)
def test_the_decision_is_the_active_policys_whatever_the_shadow_says(
    make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment], shadow: Any,
    expected: ShadowAnswer,
) -> None:  # fmt: skip
    request, risk = make_request(), make_assessment(0.3)
    alone = Decider(EmbeddedEngine(load_bundle())).decide(request, risk)
    decider = ShadowedDecider(EmbeddedEngine(load_bundle()), shadow, Scope())
    beside = decider.decide(request, risk)
    assert beside.shadow == expected
    assert dataclasses.replace(beside, shadow=None) == alone
    assert decision_record(beside) == decision_record(alone)
    assert decider.revision == load_bundle().revision


def test_where_the_active_policy_fails_the_shadow_does_not_answer(make_request: Callable[..., AccessRequest]) -> None:
    decider = ShadowedDecider(Fixed(EvaluationError("broken")), Fixed(GOOD), Scope())
    with pytest.raises(EvaluationError):
        decider.decide(make_request(), None)


def asked(name: str, route: str = "/a/b") -> AccessRequest:
    return AccessRequest(1, Subject(Entity(EntityKind.USER, name)), Resource("http", route))


@given(st.text(), st.floats(0, 100), st.floats(0, 100))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_who_is_chosen_stays_chosen(name: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert not Scope(less).holds(asked(name)) or Scope(more).holds(asked(name))
    assert Scope(100).holds(asked(name))
    assert not Scope(0).holds(asked(name))


def test_the_share_is_about_right_and_the_route_counts() -> None:
    chosen = sum(Scope(25).holds(asked(f"user-{number}")) for number in range(4000))
    assert 880 < chosen < 1120
    assert Scope(route="/a/").holds(asked("x"))
    assert not Scope(route="/b/").holds(asked("x"))
