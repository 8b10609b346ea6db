"""The tests that a bundle brings, and its rules one by one, in the embedded engine.

Tests use `with`, which the virtual machine lacks: they run in the same library's interpreter. Decisions never do.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import regorus  # type: ignore[import-untyped]  # the wheel ships no types

from policy.bundles import Bundle
from policy.engines.embedded import guarded
from policy.errors import BundleError, EvaluationError, PolicyError
from policy.rules import Module, Rules


@dataclass(frozen=True, slots=True)
class Trial:
    """One test rule and how it went."""

    file: str
    name: str
    ok: bool
    text: str = ""
    """What went wrong."""


def run_tests(bundle: Bundle) -> Iterator[Trial]:
    """Run every `test_` rule of the `_test.rego` files; raise `BundleError` where the files do not parse."""
    tests = Rules([Module.parse(name, text) for name, text in bundle.tests.items()])
    names = [(path, rules[0].module.name) for path, rules in tests.by_path.items() if path[-1].startswith("test_")]
    engine = interpreter(bundle, with_tests=True)
    for path, file in sorted(names, key=lambda item: (item[1], item[0])):
        yield _run(engine, file, ".".join(("data", *path)))


def interpreter(bundle: Bundle, with_tests: bool = False) -> Any:  # regorus has no types
    """Return the bundle in the library's interpreter; raise `BundleError`."""

    def make() -> Any:
        engine = regorus.Engine()
        for name, text in {**bundle.modules, **(bundle.tests if with_tests else {})}.items():
            engine.add_policy(name, text)
        engine.add_data_json(json.dumps(bundle.data))
        return engine

    return guarded(make, BundleError)


def _run(engine: Any, file: str, rule: str) -> Trial:
    try:
        value = guarded(lambda: engine.clone().eval_rule(rule), EvaluationError)
    except PolicyError as error:
        return Trial(file, rule, False, str(error).splitlines()[-1][:300])
    return Trial(file, rule, value is True, "" if value is True else "it does not hold")
