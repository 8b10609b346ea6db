"""What a bundle must not do, because engines differ there: found in its text, without an OPA in reach.

Guarantees: no false comfort - a bundle without findings is one on which the embedded engine and OPA agreed in every
conformance case of OPA's that the rules let through (`tests/policy/test_conformance.py`). The rules refuse more than
they must. Does not look at the tests of a bundle, and does not prove that a rule means what its author meant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy.arithmetic import Arithmetic
from policy.builtins import ALLOWED, UNREPEATABLE, argument_problem
from policy.bundles import Bundle
from policy.conflicts import conflicts
from policy.guards import unguarded
from policy.inputs import outside
from policy.loops import read_late
from policy.rules import Module, Rules, is_constant
from policy.syntax import Node, constant_part, line_of, nodes, path_of, references

_DOUBTFUL = "counts with what may not be whole numbers, which engines round differently: round first, or compare"

ENTRYPOINT = ("ostiary", "decision")
MASKS = ("system", "log")
"""The package of the rules that mask what is shown and exported, as OPA has it."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that stands against a bundle."""

    file: str
    line: int
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text} ({self.code})"


def lint(
    bundle: Bundle, entrypoint: tuple[str, ...] = ENTRYPOINT, schema: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Return what stands against a bundle, by file and line; raise `BundleError` where it does not parse.

    Inputs are compared with `schema`, or with the published one where there is none.
    """
    rules = Rules([Module.parse(name, text) for name, text in bundle.modules.items()])
    found = [*_whole(bundle, rules, entrypoint)]
    for module in rules.modules:
        for code, node, text in _module(module, rules, bundle.data):
            found.append(Finding(module.name, line_of(node), code, text))
        # Masks see the event of a decision log, which has a form of its own.
        for node, text in outside(module, {} if module.package == MASKS else schema):
            found.append(Finding(module.name, line_of(node), "input", text))
        found += [Finding(module.name, line_of(node), "loop", text) for node, text in read_late(module)]
        doubtful = Arithmetic(rules, bundle.data).doubtful(module)
        found += [Finding(module.name, line_of(node), "arithmetic", _DOUBTFUL) for node in doubtful]
    for module, node, text in conflicts(rules):
        found.append(Finding(module.name, line_of(node), "conflict", text))
    return sorted({*found, *unrepeatable(bundle)})


def unrepeatable(bundle: Bundle) -> Iterator[Finding]:
    """Yield the built-ins in the tests of a bundle that reach beyond it; raise `BundleError`."""
    for name, text in bundle.tests.items():
        for kind, fields in nodes(Module.parse(name, text).tree["rules"]):
            called = ".".join(path_of(fields["fcn"]) or ()) if kind == "Call" else ""
            if called in UNREPEATABLE:
                yield Finding(name, line_of(fields), "builtin", f"{called} depends on more than its arguments")


def _whole(bundle: Bundle, rules: Rules, entrypoint: tuple[str, ...]) -> Iterator[Finding]:
    if not rules.defines(entrypoint):
        yield Finding(".manifest", 0, "entrypoint", f"no rule gives data.{'.'.join(entrypoint)}")
    for path, defined in rules.by_path.items():
        if _at(bundle.data, path) is not None:
            yield Finding(
                defined[0].module.name, line_of(defined[0].tree), "data", f"data.{'.'.join(path)} is a rule and data"
            )
    roots = bundle.manifest.get("roots", [""])
    if not isinstance(roots, list):
        yield Finding(".manifest", 0, "roots", "roots is not a list")
        return
    for module in rules.modules:
        package = "/".join(module.package)
        if not any(root in {"", package} or package.startswith(f"{root}/") for root in map(str, roots)):
            yield Finding(module.name, 1, "roots", f"the package {'.'.join(module.package)} lies outside the roots")


def _module(module: Module, rules: Rules, data: Mapping[str, Any]) -> Iterator[tuple[str, Node, str]]:
    for spoken in module.aliases.values():
        if spoken[-1:] == ("not",) or spoken[:1] not in {("rego",), ("future",), ("data",), ("input",)}:
            yield "import", module.tree, f"import {'.'.join(spoken)} means different things to different engines"
    for kind, fields in nodes(module.tree["rules"]):
        match kind:
            case "Call":
                yield from _call(module, rules, fields)
            case "Default":
                yield from _default(fields)
            case "NotExpr":
                for node, text in unguarded(module, rules, fields):
                    yield "not", node or fields, text
            case "Spec" if _is_long_head(fields):
                yield "head", fields, "a rule's name is one word, or one word and one key"
    for node in references(module.tree["rules"]):
        yield from _reference(module, node, rules, data)


def _call(module: Module, rules: Rules, fields: Node) -> Iterator[tuple[str, Node, str]]:
    path = path_of(fields["fcn"])
    if path is None:
        yield "builtin", fields, "a function's name is no constant"
        return
    if rules.function(module, path):
        return
    name = ".".join(path)
    if name in UNREPEATABLE:
        yield "builtin", fields, f"{name} depends on more than its arguments: the decision could not be made again"
    elif name not in ALLOWED:
        yield "builtin", fields, f"{name} is no built-in on which the embedded engine and OPA are known to agree"
    elif problem := argument_problem(name, fields["params"]):
        yield "builtin", fields, f"{name} {problem} to agree with OPA"


def _default(fields: Node) -> Iterator[tuple[str, Node, str]]:
    if fields["args"]:
        yield "default", fields, "the embedded engine knows no default for functions: use else"
    if not is_constant(fields["value"]):
        yield "default", fields, "a default that is no constant means different things to different engines"


def _is_long_head(fields: Node) -> bool:
    kind, head = next(iter(fields["head"].items()))
    reference = head["refr"]
    if kind == "Compr" and "RefBrack" in reference:
        reference = reference["RefBrack"]["refr"]
    return "Var" not in reference


def _reference(module: Module, node: Node, rules: Rules, data: Mapping[str, Any]) -> Iterator[tuple[str, Node, str]]:
    """Look at a reference into `data`: whole packages, and numbers as keys, are not the same to both engines."""
    words, rest = constant_part(node)
    meant = module.meant(words)
    where = rules.place(module, words) if meant[:1] == ("data",) else ()
    _, fields = next(iter(node.items()))
    if meant[:1] == ("data",) and rules.above_package(where):
        yield "package", fields, f"{'.'.join(meant)} may stand for a whole package: name a rule or data in it"
    if meant[:1] == ("data",) and rest and "Number" in rest[0] and isinstance(_at(data, where), dict):
        yield "key", fields, "a number is not a key of an object to both engines"


def _at(data: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # JSON values
    value: Any = data
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
