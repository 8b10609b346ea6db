"""The embedded engine: compiled or refused, and its failures are typed."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import regorus

from policy.bundles import Bundle, load_bundle
from policy.engines.embedded import EmbeddedEngine, guarded
from policy.errors import BundleError, EvaluationError, PolicyError


def bundle(rego: str, data: dict[str, Any] | None = None) -> Bundle:
    return Bundle(Path(), {"policy.rego": f"package ostiary\n\n{rego}\n"}, data or {}, {}, "r1")


def test_it_evaluates_with_data() -> None:
    engine = EmbeddedEngine(
        bundle('decision := {"sum": data.ostiary.config.one + input.two}', {"ostiary": {"config": {"one": 1}}})
    )
    assert engine.evaluate({"two": 2}) == {"sum": 3}
    assert engine.revision == "r1"


def test_an_input_leaves_nothing_for_the_next_one() -> None:
    engine = EmbeddedEngine(bundle('decision := {"seen": object.get(input, "a", "nothing")}'))
    assert engine.evaluate({"a": "x"}) == {"seen": "x"}
    assert engine.evaluate({}) == {"seen": "nothing"}


@pytest.mark.parametrize(
    "rego",
    [
        "decision := input.missing",
        "decision := 5",
        'decision := "<undefined>"',
        'decision := {"a": to_number(input.a)}',
    ],
)
def test_no_decision_is_an_error(rego: str) -> None:
    engine = EmbeddedEngine(bundle(rego))
    with pytest.raises(EvaluationError):
        engine.evaluate({"a": "x"})


def test_it_goes_on_after_an_error() -> None:
    engine = EmbeddedEngine(bundle('decision := {"a": 1 / input.a}'))
    with pytest.raises(EvaluationError):
        engine.evaluate({"a": 0})
    assert engine.evaluate({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes"])
def test_an_input_that_is_not_json(value: object) -> None:
    with pytest.raises(EvaluationError):
        EmbeddedEngine(load_bundle()).evaluate({"a": value})


def test_another_thread_gets_an_error_not_a_panic() -> None:
    engine = EmbeddedEngine(load_bundle())
    assert isinstance(_in_thread(lambda: engine.evaluate({})), EvaluationError)


def test_a_panic_of_the_native_code_is_an_error() -> None:
    machine = regorus.Rvm()  # bound to this thread: a use elsewhere panics
    caught = _in_thread(lambda: guarded(machine.get_execution_state, EvaluationError))
    assert isinstance(caught, EvaluationError)
    assert "panicked" in str(caught)


def test_an_interrupt_is_not_swallowed() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupt, EvaluationError)


def test_messages_have_no_native_stack() -> None:
    with pytest.raises(BundleError) as caught:
        EmbeddedEngine(bundle("decision := foo("))
    assert "policy.rego:4" in str(caught.value)
    assert "backtrace" not in str(caught.value)


def _in_thread(call: Callable[[], object]) -> BaseException | None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except PolicyError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0] if caught else None
