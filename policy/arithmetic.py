"""Arithmetic on what may not be whole numbers: OPA counts in 64-bit mantissas and decimal texts, the engine in doubles.

`0.1 + 0.2` is 0.3 to one and 0.30000000000000004 to the other. What evidently is whole may be added and multiplied:
constants, counts, rounded values, data whose numbers are whole, and variables and rules that are given such values.
Comparing is always safe. Not seen: whole numbers beyond 2**53.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from policy.rules import Module, Rule, Rules, value_of
from policy.syntax import Node, constant_part, nodes, path_of

_COUNTS = frozenset(
    {"count", "round", "indexof", "bits.and", "bits.or", "bits.xor", "bits.lsh", "bits.rsh", "bits.negate"}
    | {"time.date", "time.clock", "time.parse_ns", "time.parse_rfc3339_ns", "semver.compare"}
)
"""Built-ins that give nothing but whole numbers."""
_SAME = frozenset({"abs", "min", "max", "sum", "product", "floor", "ceil"})
"""Built-ins that give whole numbers for whole numbers."""
_NUMERIC = frozenset({"sum", "product", "floor", "ceil", "abs"})
"""Built-ins that the engines compute differently for other numbers."""
_DEPTH = 8


class Arithmetic:
    """Looks through the arithmetic of a bundle."""

    def __init__(self, rules: Rules, data: Mapping[str, Any]) -> None:
        self._rules, self._data = rules, data

    def doubtful(self, module: Module) -> Iterator[Node]:
        """Yield the operations on what may not be whole numbers."""
        for tree in module.tree["rules"]:
            bound = _bound(tree)
            for kind, fields in nodes(tree):
                if kind == "ArithExpr":
                    operands = [fields["lhs"], fields["rhs"]]
                elif kind == "Call" and ".".join(path_of(fields["fcn"]) or ()) in _NUMERIC:
                    operands = [item for item in fields["params"][:1] if not _is_large(item)]
                else:
                    continue
                if not all(self._whole(module, bound, item, 0) for item in operands):
                    yield fields

    def _whole(self, module: Module, bound: Mapping[str, list[Node]], node: Node, depth: int) -> bool:
        """Tell whether every number in an expression's value is whole; sets and texts hold none that count."""
        kind, fields = next(iter(node.items()))
        if depth > _DEPTH:
            return False

        def inner(item: Node) -> bool:
            return self._whole(module, bound, item, depth + 1)

        match kind:
            case "Number":
                return isinstance(fields["value"], int)
            case "String" | "RawString" | "Bool" | "Null":
                return True
            case "Array" | "Set":
                return all(map(inner, fields["items"]))
            case "Object":
                return all(inner(item) for _, _, item in fields["fields"])
            case "ArrayCompr" | "SetCompr":
                return inner(fields["term"])
            case "ObjectCompr":
                return inner(fields["value"])
            case "ArithExpr":
                return fields["op"] != "Div" and inner(fields["lhs"]) and inner(fields["rhs"])
            case "BinExpr":
                return inner(fields["lhs"]) and inner(fields["rhs"])
            case "Call":
                return self._call(module, bound, fields, depth)
        return self._reference(module, bound, node, depth)

    def _call(self, module: Module, bound: Mapping[str, list[Node]], fields: Node, depth: int) -> bool:
        path = path_of(fields["fcn"]) or ()
        name = ".".join(path)
        if name in _COUNTS:
            return True
        if self._rules.function(module, path):
            return all(self._rule(rule, depth) for rule in self._rules.find(module, path))
        items = fields["params"]
        if name == "object.get":
            items = [items[0], items[-1]]
        elif name not in _SAME | {"array.concat", "numbers.range", "union", "intersection"}:
            return False
        return all(self._whole(module, bound, item, depth + 1) for item in items)

    def _reference(self, module: Module, bound: Mapping[str, list[Node]], node: Node, depth: int) -> bool:
        words, _ = constant_part(node)
        if not words:
            return False
        meant = module.meant(words)
        if len(meant) == 1 and meant[0] in bound:
            return all(self._whole(module, bound, item, depth + 1) for item in bound[meant[0]])
        place = self._rules.place(module, words)
        for length in range(len(place), 0, -1):  # a rule, or a part of what a rule gives
            found = self._rules.by_path.get(place[:length])
            if found:
                return all(self._rule(rule, depth) for rule in found)
        return meant[0] == "data" and _only_whole(_at(self._data, place))

    def _rule(self, rule: Rule, depth: int) -> bool:
        bound = _bound(rule.tree)
        if rule.kind == "Default":
            values = [rule.tree["value"]]
        elif rule.kind == "Set":
            values = [rule.tree["head"]["Set"]["key"]]
        else:
            heads = [value_of(rule.tree["head"][rule.kind]), *map(value_of, rule.bodies[1:])]
            values = [value for value in heads if value is not None]
        return all(self._whole(rule.module, bound, value, depth + 1) for value in values)


def _is_large(node: Node) -> bool:
    """Tell whether a number is a constant that every engine rounds alike: between -1 and 0 they do not."""
    value = node.get("Number", {}).get("value")
    return isinstance(value, int | float) and not -1 < value < 0


def _bound(tree: object) -> dict[str, list[Node]]:
    """Return what each variable in a rule is given: assigned, or an element of."""
    bound: dict[str, list[Node]] = {}
    for kind, fields in nodes(tree):
        if kind == "AssignExpr":
            for target, source in ((fields["lhs"], fields["rhs"]), (fields["rhs"], fields["lhs"])):
                if "Var" in target and (fields["op"] == "ColEq" or "Var" not in source):
                    bound.setdefault(str(target["Var"]["value"]), []).append(source)
        elif kind == "SomeIn" and "Var" in fields["value"]:
            bound.setdefault(str(fields["value"]["Var"]["value"]), []).append(fields["collection"])
        elif kind == "RefBrack" and "Var" in fields["index"]:  # a place in an array, or an element of a set
            bound.setdefault(str(fields["index"]["Var"]["value"]), []).append(fields["refr"])
    return bound


def _at(data: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # JSON values
    value: Any = data
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _only_whole(value: Any) -> bool:  # JSON values
    if isinstance(value, dict | list):
        return all(map(_only_whole, value.values() if isinstance(value, dict) else value))
    return value is not None and not isinstance(value, float)
