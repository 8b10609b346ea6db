"""Rules that could give two values for one question, where OPA ends with an error and the embedded engine picks one.

Refused are: several definitions of one name that do not all give the same constant (functions may tell them apart by a
constant argument); a value that depends on which of several elements was found; objects whose keys may come twice.
`else`, sets and comprehensions say the same without the question.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from policy.rules import Module, Rule, Rules, is_constant, value_of
from policy.syntax import Node, nodes, path_of

Conflict = tuple[Module, Node, str]

_SEVERAL = "has several definitions with different values: use else, so that no two can hold at once"
_FOUND = "takes its value from one of several elements: use a comprehension, so that there is one value"
_KEYS = "may give one key twice: take the key from `some key, value in`"


def conflicts(rules: Rules) -> Iterator[Conflict]:
    """Yield what may be in conflict."""
    for path, defined in rules.by_path.items():
        name = path[-1] if path else ""
        plain = [rule for rule in defined if rule.kind in {"Compr", "Func"}]
        partial = [rule for rule in plain if _key(rule) is not None]
        whole = [rule for rule in plain if _key(rule) is None]
        if len(whole) > 1 and not _same_constant(whole) and not _told_apart(whole):
            yield whole[1].module, whole[1].tree, f"{name} {_SEVERAL}"
        for rule in whole:
            if _is_found(rules, rule):
                yield rule.module, rule.tree, f"{name} {_FOUND}"
        if len(partial) > 1 and not _same_constant(partial):
            yield partial[1].module, partial[1].tree, f"{name} {_KEYS}"
        for rule in partial:
            if _repeats(rules, rule.module, _key(rule), value_of(rule.tree["head"]["Compr"]), _statements(rule)):
                yield rule.module, rule.tree, f"{name} {_KEYS}"
    for module in rules.modules:
        for kind, fields in nodes(module.tree["rules"]):
            if kind == "ObjectCompr" and _repeats(rules, module, fields["key"], fields["value"], _of(fields)):
                yield module, fields, f"an object {_KEYS}"


def _key(rule: Rule) -> Node | None:
    """Return the key of a partial object rule; None for others."""
    if rule.kind != "Compr":
        return None
    reference = rule.tree["head"]["Compr"]["refr"]
    key: Node | None = reference["RefBrack"]["index"] if "RefBrack" in reference else None
    return key


def _values(rule: Rule) -> Iterator[Node | None]:
    yield value_of(rule.tree["head"][rule.kind])
    yield from (value_of(body) for body in rule.bodies[1:])


def _statements(rule: Rule) -> list[Node]:
    return [statement for body in rule.bodies for statement in body["query"]["stmts"]]


def _of(comprehension: Node) -> list[Node]:
    return list(comprehension["query"]["stmts"])


def _same_constant(rules: Sequence[Rule]) -> bool:
    values = [value for rule in rules for value in _values(rule)]
    return all(map(is_constant, values)) and len({_plain(value) for value in values}) == 1


def _told_apart(rules: Sequence[Rule]) -> bool:
    """Tell whether some argument is another constant in each definition of a function."""
    if any(rule.kind != "Func" for rule in rules):
        return False
    for column in zip(*(rule.tree["head"]["Func"]["args"] for rule in rules), strict=False):
        if all(map(is_constant, column)) and len(set(map(_plain, column))) == len(rules):
            return True
    return False


def _plain(value: Node | None) -> str:
    """Return a constant without where it stands in the text."""
    if value is None:
        return json.dumps(["Bool", True])
    kind, fields = next(iter(value.items()))
    if "value" in fields:
        return json.dumps(["String" if kind == "RawString" else kind, fields["value"]])
    inner = fields.get("items") or [part for field in fields.get("fields", []) for part in field[1:]]
    return json.dumps([kind, *map(_plain, inner)])


class _Names:
    """Which variables of a body have one value at most, however many elements the body goes through."""

    def __init__(self, rules: Rules, module: Module, statements: Sequence[Node], known: Iterable[str]) -> None:
        self._rules, self._module = rules, module
        self._single = set(known)
        assigns = [fields for statement in statements for fields in _assignments(statement)]
        before = -1
        while before != len(self._single):  # until nothing more follows
            before = len(self._single)
            for fields in assigns:
                self._learn(fields["lhs"], fields["rhs"])
                if fields["op"] == "Eq":
                    self._learn(fields["rhs"], fields["lhs"])

    def one(self, value: Node | None) -> bool:
        """Tell whether an expression has one value at most."""
        return all(name in self._single for name in self._locals(value))

    def _learn(self, target: Node, source: Node) -> None:
        if self.one(source):
            self._single.update(set(self._locals(target)) - set(_indices(target)))

    def _locals(self, value: Node | None) -> Iterator[str]:
        """Yield the variables in an expression that are neither rules nor imports nor documents."""
        for kind, fields in _outside_comprehensions(value):
            if kind == "Call" and path_of(fields["fcn"]) == ("walk",):
                yield "_"
            if kind == "Var":
                name = str(fields["value"])
                if name not in {"input", "data", *self._module.aliases} and not self._rules.find(self._module, (name,)):
                    yield name


def _is_found(rules: Rules, rule: Rule) -> bool:
    """Tell whether a value depends on what a body found by going through elements."""
    arguments = _arguments(rule)
    for position, value in enumerate(_values(rule)):
        statements = rule.bodies[position]["query"]["stmts"] if position < len(rule.bodies) else []
        if not _Names(rules, rule.module, statements, arguments).one(value):
            return True
    return False


def _arguments(rule: Rule) -> set[str]:
    return set(_variables(rule.tree["head"]["Func"]["args"])) if rule.kind == "Func" else set()


def _assignments(statement: Node) -> Iterator[Node]:
    """Yield what a statement gives values to: `x := y`, `x = y`, and the last argument of `f(y, x)`."""
    expression = statement["literal"].get("Expr", {}).get("expr", {})
    if "AssignExpr" in expression:
        yield expression["AssignExpr"]
    call = expression.get("Call")
    if call and len(call["params"]) > 1 and path_of(call["fcn"]) != ("walk",):
        yield {"op": "ColEq", "lhs": call["params"][-1], "rhs": {"Array": {"items": call["params"][:-1]}}}


def _indices(value: object) -> Iterator[str]:
    for kind, fields in _outside_comprehensions(value):
        if kind == "RefBrack" and "Var" in fields["index"]:
            yield str(fields["index"]["Var"]["value"])


def _variables(value: object) -> Iterator[str]:
    for kind, fields in _outside_comprehensions(value):
        if kind == "Var" and fields["value"] != "_":
            yield str(fields["value"])


def _outside_comprehensions(value: object) -> Iterator[tuple[str, Node]]:
    """Yield the nodes of an expression, but not those inside comprehensions, which have one value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if len(item) == 1:
                kind, fields = next(iter(item.items()))
                if kind in {"ArrayCompr", "SetCompr", "ObjectCompr", "Every"}:
                    continue
                if kind[:1].isupper() and isinstance(fields, dict):
                    yield kind, fields
                if kind == "Call":
                    item = {"params": fields["params"]}  # the name of a function is no variable
            waiting.extend(part for key, part in item.items() if key != "span")


def _repeats(rules: Rules, module: Module, key: Node | None, value: Node | None, statements: Sequence[Node]) -> bool:
    """Tell whether an object may be given one key twice, with different values."""
    if is_constant(value) or _Names(rules, module, statements, ()).one({"Array": {"items": [key, value]}}):
        return False
    name = str(key["Var"]["value"]) if key and "Var" in key else ""
    # With the key fixed, there must be one value: so says the walk over elements that the key comes from.
    return not name or not _Names(rules, module, statements, {name, *_beside(name, statements)}).one(value)


def _beside(name: str, statements: Sequence[Node]) -> Iterator[str]:
    """Yield the variable that comes with a key: `some key, value in elements`."""
    for statement in statements:
        fields = statement["literal"].get("SomeIn")
        if fields and fields["key"] and path_of(fields["key"]) == (name,):
            yield from _variables(fields["value"])
