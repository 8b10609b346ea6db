"""Rego as a tree: what the embedded engine's parser makes of a module, and how to walk it.

A node is a JSON object with one key, its kind (`Call`, `RefDot`, `NotExpr` ...); fields have lower-case names. The form
is the engine's own and may change with it: `tests/policy/test_lint.py` holds the parts that are relied on.
"""

import json
from collections.abc import Iterator
from typing import Any

import regorus  # type: ignore[import-untyped]  # the wheel ships no types

from policy.engines.embedded import guarded
from policy.errors import BundleError

Node = dict[str, Any]
"""A node, or the fields of one (JSON values, hence Any)."""


def parse(name: str, text: str) -> Node:
    """Return the tree of a module: `package`, `imports`, `rules`; raise `BundleError` where it does not parse."""

    def run() -> Any:  # JSON
        engine = regorus.Engine()
        engine.add_policy(name, text)
        return json.loads(engine.get_ast_as_json())

    tree: Node = guarded(run, BundleError)[0]["ast"]
    return tree


def nodes(tree: object) -> Iterator[tuple[str, Node]]:
    """Yield (kind, fields) of each node in a tree, outer ones first."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if len(item) == 1:
                kind, fields = next(iter(item.items()))
                if kind[:1].isupper() and isinstance(fields, dict):
                    yield kind, fields
            waiting.extend(value for key, value in item.items() if key != "span")
        elif isinstance(item, list):
            waiting.extend(item)


def line_of(tree: object) -> int:
    """Return the line (from 1) of a node, or of the first thing in it that has one; 0 where nothing has."""
    if isinstance(tree, dict):
        span = tree.get("span")
        if isinstance(span, dict):
            return int(span["line"])
        return next((line for line in map(line_of, tree.values()) if line), 0)
    return 0


def path_of(expression: object) -> tuple[str, ...] | None:
    """Return a reference of constant parts, e.g. ("time", "now_ns"); None for anything else."""
    if not isinstance(expression, dict) or len(expression) != 1:
        return None
    kind, fields = next(iter(expression.items()))
    if kind == "Var":
        return (str(fields["value"]),)
    if kind not in {"RefDot", "RefBrack"}:
        return None
    before = path_of(fields["refr"])
    if before is None:
        return None
    if kind == "RefDot":
        return (*before, str(fields["field"][1])) if fields["field"] else None
    index = fields["index"]
    return (*before, str(index["String"]["value"])) if set(index) == {"String"} else None


def references(tree: object) -> Iterator[Node]:
    """Yield each reference in a tree as a whole, and those in its indices; not the heads of rules."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if len(item) == 1 and set(item) <= {"RefDot", "RefBrack", "Var"}:
                yield item
                waiting.extend(_indices(item))
            else:
                waiting.extend(part for key, part in item.items() if key not in {"span", "refr"})


def _indices(reference: Node) -> Iterator[Node]:
    kind, fields = next(iter(reference.items()))
    if kind == "RefBrack":
        yield fields["index"]
    if kind != "Var":
        yield from (
            _indices(fields["refr"]) if set(fields["refr"]) <= {"RefDot", "RefBrack", "Var"} else [fields["refr"]]
        )


def constant_part(reference: Node) -> tuple[tuple[str, ...], list[Node]]:
    """Return the constant words that a reference begins with, and the indices from the first variable one on."""
    kind, fields = next(iter(reference.items()))
    path = path_of(reference)
    if path is not None:
        return path, []
    if kind not in {"RefDot", "RefBrack"}:
        return (), [reference]
    words, rest = constant_part(fields["refr"])
    return words, [*rest, fields["index"] if kind == "RefBrack" else {"String": {"value": fields["field"]}}]
