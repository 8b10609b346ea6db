"""Rego in process: regorus, compiled for its virtual machine.

Guarantees: a bundle either compiles as a whole or is refused when the engine is made (a built-in that regorus lacks is
found then, not at the first request that needs it); whatever goes wrong in an evaluation, a panic of the native code
included, is an `EvaluationError`; a loop ends after 25,000 instructions of the machine. One object belongs to the
thread that made it. Does not bound the time of one built-in function, which cannot be interrupted in this process:
`policy.engines.apart` does.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import regorus  # type: ignore[import-untyped]  # the wheel ships no types

from policy.bundles import Bundle
from policy.errors import BundleError, EvaluationError, PolicyError

ENTRYPOINT = "data.ostiary.decision"

_UNDEFINED = "<undefined>"
"""What the machine returns where a rule is undefined."""

T = TypeVar("T")


class EmbeddedEngine:
    """A `PolicyEngine` in this process and thread."""

    name = "embedded"

    def __init__(self, bundle: Bundle, entrypoint: str = ENTRYPOINT) -> None:
        """Compile a bundle; raise `BundleError` where it does not compile or lacks the entry point."""
        self._entrypoint = entrypoint
        self.revision = bundle.revision
        self._thread = threading.get_ident()
        self._data = json.dumps(bundle.data)
        modules = list(bundle.modules.items())
        self._program = guarded(
            lambda: regorus.Program.compile_from_modules(self._data, modules, [entrypoint]), BundleError
        )
        self._machine = self._fresh_machine()

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision`; raise `EvaluationError`."""
        return self.evaluate_json(write_question(document))

    def evaluate_json(self, question: str) -> Mapping[str, Any]:
        """Return the same for a document that is JSON already; raise `EvaluationError`."""
        return read_decision(self.evaluate_text(question))

    def evaluate_text(self, question: str) -> str:
        """Return the value's JSON unread, whatever it is; raise `EvaluationError`."""
        if threading.get_ident() != self._thread:
            raise EvaluationError("an embedded engine belongs to the thread that made it")
        try:
            return guarded(lambda: self._run(question), EvaluationError)
        except EvaluationError:
            self._machine = self._fresh_machine()  # nothing of a failed evaluation reaches the next one
            raise

    def _run(self, question: str) -> str:
        self._machine.set_input_json(question)
        return str(self._machine.execute_entry_point(self._entrypoint))

    def _fresh_machine(self) -> Any:  # regorus has no types
        def make() -> Any:
            machine = regorus.Rvm()
            machine.load_program(self._program)
            machine.set_data_json(self._data)
            return machine

        return guarded(make, BundleError)


def write_question(document: Mapping[str, Any]) -> str:
    """Return an input document as JSON; raise `EvaluationError`."""
    try:
        return json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise EvaluationError(f"the input is not JSON: {error}") from error


def read_decision(text: str) -> Mapping[str, Any]:
    """Return the object that the machine's answer holds; raise `EvaluationError`."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"{ENTRYPOINT} is not JSON: {error}") from error
    if answer == _UNDEFINED:
        raise EvaluationError(f"{ENTRYPOINT} is undefined")
    if not isinstance(answer, dict):
        raise EvaluationError(f"{ENTRYPOINT} is not an object")
    return answer


def guarded(call: Callable[[], T], kind: type[PolicyError]) -> T:
    """Call native code; turn its errors and panics into `kind`."""
    try:
        return call()
    except Exception as error:  # regorus raises RuntimeError, and whatever pyo3 makes of a bad argument
        raise kind(_message(error)) from error
    except BaseException as error:
        # A panic of the native code is a BaseException whose class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise kind(f"the engine panicked: {_message(error)}") from error


def _message(error: BaseException) -> str:
    """Return an error's own words without the native stack that follows them."""
    return str(error).split("\n\nStack backtrace", 1)[0].strip()[:2000]
