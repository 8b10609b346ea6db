"""`not` before something that may be undefined, where one engine opens and another closes.

OPA takes a call out of the expression under `not`: where the call, or an argument of one, is undefined, the whole
statement is; the embedded engine answers true. So whatever is called under `not` must have a value for every input.
"""

from collections.abc import Iterator

from policy.builtins import text_of
from policy.rules import CONSTANTS, Module, Rules
from policy.syntax import Node, nodes, path_of

_ALWAYS = frozenset({("object", "get"), ("is_string",), ("is_object",), ("is_number",), ("is_array",), ("is_set",),
                     ("is_boolean",), ("is_null",), ("type_name",)})  # fmt: skip
"""Built-ins that have a value for all arguments that have one."""


def unguarded(module: Module, rules: Rules, fields: Node) -> Iterator[tuple[Node, str]]:
    """Yield what may be undefined in a call under a `not`."""
    for kind, inner in nodes(fields["expr"]):
        if kind != "Call":
            continue
        name = ".".join(path_of(inner["fcn"]) or ("a function",))
        if inner is not fields["expr"].get("Call") and not _total_call(module, rules, inner):
            yield inner, f"{name} may be undefined inside `not`: give it a value for every input, and use that"
        for argument in inner["params"]:
            if not _total(module, rules, argument):
                yield inner, f"an argument of {name} may be undefined under `not`: read it with object.get before"


def _total_call(module: Module, rules: Rules, call: Node) -> bool:
    path = path_of(call["fcn"]) or ()
    if path == ("object", "get"):
        arguments = call["params"]
        return len(arguments) == 3 and _is_object(module, rules, arguments[0])
    return path in _ALWAYS or rules.total(module, path)


def _is_object(module: Module, rules: Rules, node: Node) -> bool:
    """Tell whether object.get has something to look into: `input`, or a rule of the bundle."""
    path = path_of(node)
    return path == ("input",) or (path is not None and rules.total(module, path)) or "Object" in node


def _total(module: Module, rules: Rules, node: Node) -> bool:
    """Tell whether an expression has a value for every input."""
    kind, fields = next(iter(node.items()))
    if kind in CONSTANTS or kind in {"ArrayCompr", "SetCompr", "ObjectCompr"} or text_of(node) is not None:
        return True
    if kind in {"Array", "Set"}:
        return all(_total(module, rules, item) for item in fields["items"])
    if kind == "Object":
        return all(_total(module, rules, item) for field in fields["fields"] for item in field[1:])
    if kind == "Call":
        return _total_call(module, rules, fields) and all(_total(module, rules, item) for item in fields["params"])
    path = path_of(node)
    if path is None:
        return False
    if rules.find(module, path):
        return rules.total(module, path)
    return path == ("input",) or (len(path) == 1 and path[0] not in {"data", *module.aliases})
