"""`input` or `data` first read inside a loop that may not run, and read again behind it.

The embedded engine reads each of the two once in a rule. Where that is in a comprehension or `every` over nothing, it
is not read at all, and what comes behind finds it undefined: `{"a": [data.x | some y in ys], "b": data.x}` has no value
when `ys` is empty. Reading it before the loop, or in a rule of its own, helps.
"""

from collections.abc import Iterator

from policy.rules import Module
from policy.syntax import Node

_COMPREHENSIONS = {"ArrayCompr": ("term",), "SetCompr": ("term",), "ObjectCompr": ("key", "value")}


def read_late(module: Module) -> Iterator[tuple[Node, str]]:
    """Yield where a document is read behind a loop that alone read it before."""
    for tree in module.tree["rules"]:
        if "Spec" in tree:
            reading = _Reading(module)
            for body in tree["Spec"]["bodies"]:
                reading.visit(body["query"]["stmts"], "")
                reading.visit(body["assign"], "")
            reading.visit(tree["Spec"]["head"], "")
            yield from reading.late


class _Reading:
    """Follows a rule in the order in which it is evaluated; `loop` names the loop around, "" for none."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._surely: set[str] = set()
        self._in_loop: dict[str, str] = {}
        self.late: list[tuple[Node, str]] = []

    def visit(self, tree: object, loop: str) -> None:
        """Go through a part of the rule."""
        if isinstance(tree, list):
            for item in tree:
                self.visit(item, loop)
        elif isinstance(tree, dict):
            kind, fields = next(iter(tree.items())) if len(tree) == 1 else ("", {})
            if kind in _COMPREHENSIONS:
                self._comprehension(kind, fields, loop)
            elif kind == "Every":
                self.visit(fields["domain"], loop)
                self.visit(fields["query"]["stmts"], f"{loop}/{id(fields)}")
            elif kind == "Var":
                self._read(fields, loop)
            else:
                for key, item in tree.items():
                    if key != "span":
                        self.visit(item, loop)

    def _comprehension(self, kind: str, fields: Node, loop: str) -> None:
        inside = f"{loop}/{id(fields)}"
        first, *rest = fields["query"]["stmts"] or [None]
        some = first["literal"].get("SomeIn") if first else None
        self.visit(some["collection"] if some else None, loop)
        self.visit([first if not some else None, *rest, *(fields[part] for part in _COMPREHENSIONS[kind])], inside)

    def _read(self, fields: Node, loop: str) -> None:
        root = self._module.meant((str(fields["value"]),))[0]
        if root not in {"input", "data"} or root in self._surely:
            return
        before = self._in_loop.setdefault(root, loop) if loop else self._in_loop.get(root)
        if before is not None and not loop.startswith(before):
            self.late.append((fields, f"{root} is first read in a loop that may not run: read it in a rule of its own"))
        if not loop:
            self._surely.add(root)
