"""Why a policy answered as it did: the rules whose conditions held, and the smallest changes that alter the answer.

Pure. Guarantees: a rule is said to have fired if its own body, as it is written in the bundle, holds for the document
(it is evaluated as a rule beside it); each counterfactual, put into the document, gives the verdict that it names; no
single change of the fields that are searched does where one of two is given. Bounded by `MAX_EVALUATIONS`. Does not
look into functions, and does not search names, times and facts: only fields with a known domain.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import regorus  # type: ignore[import-untyped]  # the wheel ships no types

from policy.bundles import Bundle
from policy.decide import checked_answer
from policy.engines.embedded import guarded
from policy.errors import EvaluationError, PolicyError
from policy.rules import Module, Rules
from policy.values import PolicyEngine, Verdict

MAX_EVALUATIONS = 5_000
STEPS = 10_000
"""A number between 0 and 1 in the document is one of so many steps."""
COARSE = 250
"""Steps between two looks; a band narrower than that may be missed."""

Path = tuple[str, str]
CHOICES: Mapping[Path, Sequence[str]] = {
    ("subject", "device"): ("managed", "unknown", "unmanaged"),
    ("subject", "proof"): ("mtls", "token", "password", "none"),
    ("resource", "sensitivity"): ("public", "normal", "sensitive"),
    ("risk", "state"): ("known", "stale"),
}
NUMBERS: Sequence[Path] = (("risk", "risk"), ("risk", "confidence"))
_SEVERITY = {verdict.value: number for number, verdict in enumerate(Verdict)}
_FIRED = "fired__"


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule whose conditions held."""

    file: str
    line: int
    """From 1."""
    rule: str
    head: str
    """As it is written, without its conditions."""
    comment: str
    """What stands above it in the file."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another value of one field."""

    path: Path
    value: str | float
    """The nearest value that serves."""
    words: str


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The smallest change found that gives another verdict."""

    verdict: str
    changes: tuple[Change, ...]

    def say(self) -> str:
        """Return it as a sentence without its end, e.g. "allow if risk.risk is below 0.2"."""
        return f"{self.verdict} if " + " and ".join(change.words for change in self.changes)


def fired(bundle: Bundle, document: Mapping[str, Any]) -> tuple[Fired, ...]:
    """Return the rules whose conditions hold for a document, by file and line; raise `PolicyError`."""
    modules = [Module.parse(name, text) for name, text in bundle.modules.items()]
    found: dict[str, Fired] = {}
    probes = {module.name: _probe(module, bundle.modules[module.name], found) for module in modules}
    packages = sorted({".".join(("data", *module.package, _FIRED)) for module in modules if probes[module.name]})

    def run() -> list[str]:
        engine = regorus.Engine()
        for name, text in bundle.modules.items():
            engine.add_policy(name, text)
        for name, text in probes.items():
            if text:
                engine.add_policy(f"{name} (probe)", text)
        engine.add_data_json(json.dumps(bundle.data))
        engine.set_input_json(json.dumps(document))
        return [key for package in packages for key in json.loads(engine.eval_rule_as_json(package))]

    held = guarded(run, EvaluationError)
    return tuple(sorted((found[key] for key in held), key=lambda rule: (rule.file, rule.line)))


def _probe(module: Module, text: str, found: dict[str, Fired]) -> str:
    """Return a module with one rule for each body in `module`, and note what each key of its set stands for."""
    raw = text.encode()
    rules = [rule for many in Rules([module]).by_path.values() for rule in many if rule.kind not in ("Func", "Default")]
    start = min((item["span"]["start"] for tree in module.tree["rules"] for item in tree.values()), default=0)
    lines = []
    for rule in rules:
        earlier: list[str] = []
        for body in rule.bodies:
            key = f"{len(found)}"
            span, query = body["span"], body["query"]["span"]
            condition = _whole(raw, query["start"], query["end"]) or "true"  # an `else` without conditions
            lines.append(f"{_FIRED}{key} if {condition}")
            first = "\n\t".join(f"not {_FIRED}{other}" for other in earlier) if body["is_else"] else ""
            lines.append(f'{_FIRED} contains "{key}" if {{\n\t{first}\n\t{_FIRED}{key}\n}}')
            earlier.append(key)
            head = span if body["is_else"] or earlier[1:] else rule.tree["span"]
            found[key] = Fired(
                module.name, head["line"], ".".join((*module.package, *rule.name)),
                _head(raw[head["start"] : query["start"]].decode() or raw[head["start"] : head["end"]].decode()),
                _comment(text, head["line"]),
            )  # fmt: skip
    return f"{raw[:start].decode()}\n" + "\n".join(lines) if lines else ""


def _whole(raw: bytes, start: int, end: int) -> str:
    """Return a stretch of a module; the parser's spans leave out the quotes of a string at either end."""
    if start < end:
        start -= raw[start - 1 : start] in (b'"', b"`")
        end += raw[end : end + 1] in (b'"', b"`")
    return raw[start:end].decode()


def _head(text: str) -> str:
    return " ".join(text.strip().removesuffix("if").split())


def _comment(text: str, line: int) -> str:
    """Return the comment right above a line, without its marks."""
    lines = text.splitlines()[: line - 1]
    found: list[str] = []
    while lines and lines[-1].startswith("#"):
        found.insert(0, lines.pop().lstrip("# "))
    return " ".join(found)


@dataclass(slots=True)
class _Search:
    """Looks for other verdicts of one document, within a bound."""

    engine: PolicyEngine
    document: Mapping[str, Any]
    left: int = MAX_EVALUATIONS
    seen: dict[tuple[tuple[Path, str | float], ...], str] = field(default_factory=dict)

    def verdict(self, *values: tuple[Path, str | float]) -> str:
        """Return the verdict with other values in the document; "" where there is none, or no look is left."""
        if values in self.seen:
            return self.seen[values]
        if self.left <= 0:
            return ""
        self.left -= 1
        try:
            found = str(checked_answer(self.engine.evaluate(_with(self.document, values)))["verdict"])
        except PolicyError:
            found = ""
        self.seen[values] = found
        return found

    def choices(self, *fixed: tuple[Path, str | float], path: Path) -> Iterator[tuple[str, Change]]:
        """Yield (verdict, change) for the other values of a field that has few."""
        for value in CHOICES[path]:
            if value != self.document[path[0]][path[1]]:
                words = f"{'.'.join(path)} is {value}"
                yield self.verdict(*fixed, (path, value)), Change(path, value, words)

    def numbers(self, *fixed: tuple[Path, str | float], path: Path) -> Iterator[tuple[str, Change]]:
        """Yield (verdict, change) for the bands of a number, the nearest first on either side."""
        now = round(self.document[path[0]][path[1]] * STEPS)
        name = ".".join(path)
        for end, way in ((0, -1), (STEPS, 1)):
            at, verdict = now, self.verdict(*fixed, (path, now / STEPS))
            while at != end:
                further = max(0, at - COARSE) if way < 0 else min(STEPS, at + COARSE)
                other = self.verdict(*fixed, (path, further / STEPS))
                if other != verdict:
                    edge, other = self._edge(fixed, path, at, further, verdict)
                    limit = f"below {(edge + 1) / STEPS:g}" if way < 0 else f"{edge / STEPS:g} or more"
                    yield other, Change(path, edge / STEPS, f"{name} is {limit}")
                    further = edge
                at, verdict = further, other

    def _edge(
        self, fixed: tuple[tuple[Path, str | float], ...], path: Path, here: int, there: int, verdict: str
    ) -> tuple[int, str]:
        """Return the step nearest to `here`, found by halving, at which the verdict is another, and that verdict."""
        while abs(there - here) > 1:
            middle = (here + there) // 2
            if self.verdict(*fixed, (path, middle / STEPS)) == verdict:
                here = middle
            else:
                there = middle
        return there, self.verdict(*fixed, (path, there / STEPS))


def counterfactuals(engine: PolicyEngine, document: Mapping[str, Any]) -> tuple[Counterfactual, ...]:
    """Return the smallest change found for each other verdict, the mildest verdict first.

    Raises `PolicyError` where the policy has no verdict on the document as it is.
    """
    now = checked_answer(engine.evaluate(document))["verdict"]
    search = _Search(engine, document)
    found: dict[str, Counterfactual] = {}
    for verdict, changes in _changes(search):
        if verdict in _SEVERITY and verdict != now and verdict not in found:
            found[verdict] = Counterfactual(verdict, changes)
        if len(found) == len(_SEVERITY) - 1:
            break
    return tuple(sorted(found.values(), key=lambda one: _SEVERITY[one.verdict]))


def _changes(search: _Search) -> Iterator[tuple[str, tuple[Change, ...]]]:
    """Yield (verdict, changes), of one field first, then of two."""
    choices = [path for path in CHOICES if _has(search.document, path)]
    numbers = [path for path in NUMBERS if _has(search.document, path)]
    for path in choices:
        for verdict, change in search.choices(path=path):
            yield verdict, (change,)
    for path in numbers:
        for verdict, change in search.numbers(path=path):
            yield verdict, (change,)
    for first, second in combinations(choices, 2):
        for _, change in search.choices(path=first):
            for verdict, other in search.choices((first, change.value), path=second):
                yield verdict, (change, other)
    for first in choices:
        for _, change in search.choices(path=first):
            for path in numbers:
                for verdict, other in search.numbers((first, change.value), path=path):
                    yield verdict, (change, other)


def _has(document: Mapping[str, Any], path: Path) -> bool:
    if path == ("risk", "state") and document["risk"].get("state") == "missing":
        return False  # a risk that is not missing has further fields, about which nothing is known
    return path[1] in document[path[0]]


def _with(document: Mapping[str, Any], values: Sequence[tuple[Path, str | float]]) -> dict[str, Any]:
    changed = dict(document)
    for (part, name), value in values:
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        changed[part] = {**changed[part], name: number}
    return changed
