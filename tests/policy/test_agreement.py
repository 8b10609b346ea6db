"""Real OPA is the judge: the embedded engine answers exactly as it does."""

import copy
import json
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import policy
from policy.bundles import SHIPPED, load_bundle
from policy.engines.embedded import EmbeddedEngine
from policy.engines.opa import OpaEngine
from policy.engines.opa_link import OpaServer

SCHEMA = json.loads((Path(policy.__file__).parent / "schema" / "input.schema.json").read_text())
IN_SCHEMA, MUTATED = 2_000, 500

# Values that the rules single out; the schema alone would hardly ever hit them.
TELLING: dict[str, list[Any]] = {
    "id": ["192.0.2.7", "192.0.2.8", "192.0.2.9", "alice", "ü", "a\u0000b", '"}', "😀"],
    "identity": ["", "alice", "bob"],
    "risk": [0, 1, 0.2, 0.1999, 0.4, 0.3999, 0.5999, 0.7, 0.6999, 0.8, 0.9, 0.8999, 1.0, 1e-300],
    "confidence": [0, 1, 0.5, 0.4999],
    "time": ["2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:01Z", "1970-01-01T00:00:00Z"],
}
JUNK: list[Any] = [None, True, 0, -1, 2, 1e308, -0.0, "", "x", [], ["normal"], {}, {"a": 1}, "2026-06-01T00:00:00"]


def generate(schema: Mapping[str, Any], chance: random.Random, name: str = "") -> Any:
    """Return a random value that satisfies a schema."""
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "oneOf" in schema:
        return generate(chance.choice([schema["oneOf"][0], *schema["oneOf"][1:] * 4]), chance, name)
    if name in TELLING and chance.random() < 0.7:
        return chance.choice(TELLING[name])
    kind = schema["type"]
    if kind == "object":
        return {key: generate(inner, chance, key) for key, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [generate(schema["items"], chance) for _ in range(chance.randrange(3))]
    if kind == "number":
        return round(chance.uniform(schema.get("minimum", 0), schema.get("maximum", 1e6)), 4)
    if "pattern" in schema:
        return chance.choice(TELLING["time"])
    return "".join(chance.choices("abc.:/ü-", k=chance.randrange(1, 20)))


def mutate(document: dict[str, Any], chance: random.Random) -> Any:
    """Return a document with a part missing, replaced by junk, or nothing but junk."""
    if chance.random() < 0.05:
        return chance.choice(JUNK)
    document = copy.deepcopy(document)
    for _ in range(chance.randrange(1, 3)):
        part: Any = document
        key = chance.choice(sorted(part))
        while isinstance(part[key], dict) and part[key] and chance.random() < 0.7:
            part = part[key]
            key = chance.choice(sorted(part))
        if chance.random() < 0.4 and len(part) > 1:
            del part[key]
        else:
            part[key] = copy.deepcopy(chance.choice(JUNK))
    return document


def inputs() -> Iterator[Any]:
    chance = random.Random(2026)
    for _ in range(IN_SCHEMA):
        yield generate(SCHEMA, chance)
    for _ in range(MUTATED):
        yield mutate(generate(SCHEMA, chance), chance)


@pytest.fixture(scope="module", params=["shipped", "lively"])
def engines(
    request: pytest.FixtureRequest, serve_opa: Callable[..., str], lively_bundle: Path
) -> Iterator[tuple[EmbeddedEngine, OpaEngine]]:
    folder = SHIPPED if request.param == "shipped" else lively_bundle
    bundle = load_bundle(folder)
    opa = OpaEngine(OpaServer(serve_opa("-b", str(folder))), bundle, timeout_s=10)
    yield EmbeddedEngine(bundle), opa
    opa.close()


@pytest.mark.server
def test_generated_inputs(engines: tuple[EmbeddedEngine, OpaEngine]) -> None:
    embedded, opa = engines
    verdicts: set[str] = set()
    codes: set[str] = set()
    for document in inputs():
        ours, theirs = embedded.evaluate(document), opa.evaluate(document)
        assert ours == theirs, document
        verdicts.add(ours["verdict"])
        codes.update(reason["code"] for reason in ours["reasons"])
    assert verdicts == {"allow", "throttle", "step_up", "deny", "isolate"}
    expected = set(load_bundle().data["ostiary"]["config"]["texts"]) - {"policy.undefined"}
    assert codes >= {code for code in expected if not code.startswith("exception.")}


def test_the_exceptions_are_reached(lively_bundle: Path) -> None:
    engine = EmbeddedEngine(load_bundle(lively_bundle))
    codes = {reason["code"] for document in inputs() for reason in engine.evaluate(document)["reasons"]}
    assert codes >= {"exception.allow-list", "exception.break-glass", "exception.shared"}


def _cases(vectors: Path) -> list[dict[str, Any]]:
    cases = json.loads((vectors / "decisions.json").read_text())
    assert len(cases) >= 30
    return list(cases)


def _expected(case: Mapping[str, Any]) -> dict[str, Any]:
    texts = load_bundle().data["ostiary"]["config"]["texts"]
    return {
        "verdict": case["verdict"],
        "reasons": [{"code": code, "text": texts[code]} for code in case["reasons"]],
        "obligations": case["obligations"],
        "ttl_s": case["ttl_s"],
    }


def test_the_embedded_engine_on_our_own_cases(vectors: Path) -> None:
    engine = EmbeddedEngine(load_bundle())
    for case in _cases(vectors):
        assert engine.evaluate(case["input"]) == _expected(case), case["name"]


@pytest.mark.server
def test_real_opa_on_our_own_cases(vectors: Path, serve_opa: Callable[..., str]) -> None:
    engine = OpaEngine(OpaServer(serve_opa("-b", str(SHIPPED))), load_bundle(), timeout_s=10)
    for case in _cases(vectors):
        assert engine.evaluate(case["input"]) == _expected(case), case["name"]
    engine.close()


@pytest.mark.server
@pytest.mark.parametrize(
    "command",
    [
        ["check", "--strict", "-b", str(SHIPPED)],
        ["check", "--strict", "-b", "-s", str(SHIPPED.parent / "schema" / "input.schema.json"), str(SHIPPED)],
        ["fmt", "--fail", "--list", str(SHIPPED)],
        ["test", "-b", str(SHIPPED)],
    ],
    ids=["check", "check-schema", "fmt", "test"],
)
def test_the_bundle_by_opas_own_tools(opa: str, command: list[str]) -> None:
    done = subprocess.run([opa, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.server
def test_every_rule_is_covered_by_the_rego_tests(opa: str) -> None:
    done = subprocess.run([opa, "test", "--coverage", str(SHIPPED)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert {path: part["not_covered"] for path, part in report["files"].items() if part.get("not_covered")} == {}
