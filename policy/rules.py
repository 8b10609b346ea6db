"""What a bundle defines: its modules, the names in their packages, and which of them always have a value."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy.syntax import Node, parse, path_of

CONSTANTS = frozenset({"String", "RawString", "Number", "Bool", "Null"})

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """One Rego file."""

    name: str
    tree: Node
    package: Path
    aliases: dict[str, Path]
    """Name of an import -> what it stands for."""

    @classmethod
    def parse(cls, name: str, text: str) -> "Module":
        """Parse a file; raise `BundleError`."""
        tree = parse(name, text)
        aliases: dict[str, Path] = {}
        for item in tree["imports"]:
            path = path_of(item["refr"]) or ("",)
            alias = item.get("as")
            aliases[_word(alias, path)] = path
        return cls(name, tree, path_of(tree["package"]["refr"]) or (), aliases)

    def meant(self, path: Path) -> Path:
        """Return a reference with the import that it begins with, if any, written out."""
        return (*self.aliases[path[0]], *path[1:]) if path and path[0] in self.aliases else path


def _word(alias: object, path: Path) -> str:
    """Return the name of an import; the parser gives an alias as a span with its text, or nothing."""
    if isinstance(alias, list):
        return str(alias[1])
    return path[-1]


@dataclass(frozen=True, slots=True)
class Rule:
    """One definition: `kind` is the head's (Compr, Set, Func) or Default."""

    module: Module
    name: Path
    """The head's words of constant parts, without the package."""
    kind: str
    tree: Node

    @property
    def bodies(self) -> Sequence[Node]:
        """Return the bodies, `else` ones included; none where the rule holds always."""
        return list(self.tree.get("bodies", []))


class Rules:
    """All rules of a bundle."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = modules
        self.packages = {module.package for module in modules}
        self.by_path: dict[Path, list[Rule]] = defaultdict(list)
        for module in modules:
            for rule in _rules(module):
                self.by_path[(*module.package, *rule.name)].append(rule)

    def defines(self, path: Path) -> bool:
        """Tell whether some rule gives the value at a path under `data`."""
        return path in self.by_path

    def find(self, module: Module, path: Path) -> list[Rule]:
        """Return the rules that a reference in a module means; none where it means something else."""
        return self.by_path.get(self.place(module, path), [])

    def function(self, module: Module, path: Path) -> bool:
        """Tell whether a called name is a function of the bundle."""
        return any(rule.kind == "Func" for rule in self.find(module, path))

    def place(self, module: Module, path: Path) -> Path:
        """Return where a reference points, under `data`."""
        meant = module.meant(path)
        return meant[1:] if meant[:1] == ("data",) else (*module.package, *meant)

    def total(self, module: Module, path: Path) -> bool:
        """Tell whether a rule or function of the bundle has a value whatever the input is."""
        return any(_is_total(rule) for rule in self.find(module, path))

    def above_package(self, path: Path) -> bool:
        """Tell whether a path under `data` leads to a package, or to something that holds one."""
        return any(package[: len(path)] == path for package in self.packages)


def _rules(module: Module) -> Iterator[Rule]:
    for item in module.tree["rules"]:
        kind, fields = next(iter(item.items()))
        if kind == "Default":
            yield Rule(module, path_of(fields["refr"]) or (), kind, fields)
        else:
            head, inner = next(iter(fields["head"].items()))
            yield Rule(module, _head_name(inner["refr"]), head, fields)


def _head_name(reference: Node) -> Path:
    """Return the name of a head; for `p[key]` that of `p`."""
    kind, fields = next(iter(reference.items()))
    if kind == "RefBrack":
        return _head_name(fields["refr"])
    return path_of(reference) or ()


def _is_total(rule: Rule) -> bool:
    if rule.kind in {"Default", "Set"}:
        return True
    if rule.kind == "Compr" and "RefBrack" in rule.tree["head"]["Compr"]["refr"]:
        return True  # a partial object is there, if only empty
    if not rule.bodies:
        return is_constant(value_of(rule.tree["head"][rule.kind]))
    last = rule.bodies[-1]
    return not last["query"]["stmts"] and is_constant(value_of(last))


def value_of(fields: Node) -> Node | None:
    assign = fields.get("assign")
    return assign["value"] if assign else None


def is_constant(value: Node | None) -> bool:
    """Tell whether a value is made of constants alone; none at all means `true`."""
    if value is None:
        return True
    kind, fields = next(iter(value.items()))
    if kind in CONSTANTS:
        return True
    if kind in {"Array", "Set"}:
        return all(map(is_constant, fields["items"]))
    if kind == "Object":
        return all(is_constant(key) and is_constant(item) for _, key, item in fields["fields"])
    return False
