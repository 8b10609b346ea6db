"""OPA's own conformance cases: what lint lets through gets OPA's answer from the embedded engine, without exception.

The cases come with OPA's source, in Go's module cache, where building OPA puts them.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.bundles import Bundle
from policy.engines.embedded import guarded
from policy.errors import BundleError, EvaluationError
from policy.lint import lint

regorus = pytest.importorskip("regorus")

CASES = "github.com/open-policy-agent/opa@v1.22.2/v1/test/cases/testdata/v1"
AT_LEAST = 1_200
UNDEFINED = "<undefined>"
NO_INPUT = object()

pytestmark = [pytest.mark.server, pytest.mark.slow]


class Loader(yaml.CSafeLoader):
    """YAML as Go reads it: `on` and dates are texts."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in rules if not tag.endswith((":bool", ":timestamp"))]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    cache = Path.home() / "go" / "pkg" / "mod"
    if go:
        cache = Path(
            subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
        )
    if not (cache / CASES).is_dir():
        missing = f"{cache / CASES} is not there: OPA's conformance cases are NOT run"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    files = sorted((cache / CASES).rglob("*.yaml"))
    return [case for file in files for case in (yaml.load(file.read_text(), Loader) or {}).get("cases") or []]


def as_json(value: Any) -> Any:
    """Return a YAML value with the texts for keys that JSON has."""
    if isinstance(value, dict):
        return {str(key).lower() if isinstance(key, bool) else str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def ordered(value: Any, case: dict[str, Any]) -> Any:
    """Return a value with its lists in order where the case says that they stand for sets."""
    if isinstance(value, dict):
        return {key: ordered(item, case) for key, item in value.items()}
    if isinstance(value, list):
        items = [ordered(item, case) for item in value]
        return sorted(items, key=json.dumps) if case.get("sort_bindings") else items
    return value


def question(case: dict[str, Any]) -> Any:
    """Return a case's input as JSON, `NO_INPUT` where it has none; raise ValueError where JSON cannot say it."""
    return json.loads(case["input_term"]) if "input_term" in case else as_json(case.get("input", NO_INPUT))


def in_form(cases: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, str, Any]]:
    """Yield the cases that ask for one document, as a gate does: case, its path, the variable, the input."""
    for case in cases:
        form = re.fullmatch(r"(data(?:\.\w+)+) = (\w+)", case["query"])
        if form is None or not case.get("modules"):
            continue
        try:
            given = question(case)
        except ValueError:
            continue
        if given is NO_INPUT and any("input" in text for text in case["modules"]):
            continue  # a gate always gives an input
        yield case, form[1], form[2], None if given is NO_INPUT else given


def decided(bundle: Bundle, path: str, given: Any) -> Any:
    """Return the virtual machine's answer; raise `BundleError` where it does not compile."""
    data = json.dumps(bundle.data)
    program = guarded(
        lambda: regorus.Program.compile_from_modules(data, list(bundle.modules.items()), [path]), BundleError
    )

    def run() -> Any:
        machine = regorus.Rvm()
        machine.load_program(program)
        machine.set_data_json(data)
        machine.set_input_json(json.dumps(given))
        return json.loads(str(machine.execute_entry_point(path)))

    return guarded(run, EvaluationError)


def opa_answers(opa: str, folder: Path, bundle: Bundle, path: str, given: Any) -> Any:
    """Return what a real OPA says where built-in functions that fail are undefined, as its server has it."""
    for name, text in bundle.modules.items():
        (folder / name).write_text(text)
    (folder / "data.json").write_text(json.dumps(bundle.data))
    files = [part for name in [*bundle.modules, "data.json"] for part in ("-d", name)]
    done = subprocess.run(
        [opa, "eval", "-I", "--format", "json", *files, path],
        input=json.dumps(given), capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    found = json.loads(done.stdout)
    if "errors" in found:
        return None
    return found["result"][0]["expressions"][0]["value"] if found.get("result") else UNDEFINED


def test_what_is_accepted_is_answered_as_opa_does(cases: list[dict[str, Any]], opa: str, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for number, (case, path, variable, given) in enumerate(in_form(cases)):
        modules = {f"m{place}.rego": text for place, text in enumerate(case["modules"])}
        bundle = Bundle(Path(), modules, as_json(case.get("data") or {}), {}, "")
        try:
            refused = bool(lint(bundle, tuple(path.split(".")[1:]), {}))
            answer = decided(bundle, path, given)
        except BundleError:
            counts["refused"] += 1
            continue
        except EvaluationError:
            answer = None
        if refused:
            counts["refused"] += 1
            continue
        counts["accepted"] += 1
        if "want_error" in case or "want_error_code" in case:
            counts["errors"] += 1
            (tmp_path / str(number)).mkdir()
            expected = opa_answers(opa, tmp_path / str(number), bundle, path, given)
        else:
            expected = as_json(case["want_result"][0].get(variable)) if case.get("want_result") else UNDEFINED
        if ordered(answer, case) != ordered(expected, case):
            wrong.append(f"{case['note']}: {answer!r}, OPA: {expected!r}")
    print(dict(counts), "of", len(cases))
    assert wrong == []
    assert counts["accepted"] >= AT_LEAST
