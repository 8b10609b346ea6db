"""From a graph of our own objects to JSON and arrays, and back: the state of the risk core without pickle.

Guarantees: reading calls nothing that the data names; it makes instances only of classes that are loaded already and
belong to `OURS`, by `object.__new__`, and sets their attributes. What is code (functions, compiled patterns, kernels)
isn't written: reading fills a fresh object of the same settings, which has its own. Equal graphs give equal bytes; what
is shared and can change stays shared. A class may keep attributes out by `UNSAVED`. Data that fits nothing raises
`SnapshotError`.

A value is itself where JSON has it, else a list that begins with its kind; what can change is numbered before that.
"""

import base64
import json
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any  # a graph of objects holds anything

import numpy as np
from numpy.typing import NDArray

from risk.errors import SnapshotError
from sensors.values import Entity, EntityKind

OURS = ("risk.", "sensors.", "river.")
SPARSE = 1 << 16
"""Bytes from which on an array is written without its rows of zeros, where most are."""
Array = NDArray[Any]
Fresh = object
"""What stands in the place of a value in a fresh graph; None where nothing does."""
_MAPPINGS: dict[str, type] = {"dict": dict, "odict": OrderedDict, "counter": Counter, "ddict": defaultdict}
_CODE = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type)
_PLAIN = (type(None), bool, int, float, str)


class Writer:
    """Writes one graph; `arrays` and `tables` belong to the document."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._classes: dict[type, int] = {}
        self._entities: dict[Entity, int] = {}
        self._seen: dict[int, int] = {}
        self._how: dict[type, Callable[[Any], Any]] = dict.fromkeys(_PLAIN, _itself)

    @property
    def tables(self) -> dict[str, Any]:
        """The classes and entities that the document names by number."""
        entities = [[entity.kind.value, entity.id] for entity in self._entities]
        return {"classes": [_name(kind) for kind in self._classes], "entities": entities}

    def write(self, value: object) -> Any:
        """Return a value as JSON; raise `SnapshotError` for what has no form."""
        kind = type(value)
        how = self._how.get(kind)
        if how is None:
            how = self._how[kind] = self._choose(kind)
        return how(value)

    def _choose(self, kind: type) -> Callable[[Any], Any]:
        """Return how values of a type are written."""
        if kind is Entity:
            return lambda value: ["entity", self._entities.setdefault(value, len(self._entities))]
        if issubclass(kind, Enum):
            return lambda value: ["enum", self._class(kind), value.value]
        if issubclass(kind, np.generic):
            return lambda value: ["scalar", value.dtype.str, value.item()]
        if kind is bytes:
            return lambda value: ["bytes", base64.b64encode(value).decode()]
        if kind is tuple:
            return lambda value: ["tuple", *map(self.write, value)]
        if issubclass(kind, tuple):
            return lambda value: ["named", self._class(kind), *map(self.write, value)]
        return self._choose_shared(kind)

    def _choose_shared(self, kind: type) -> Callable[[Any], Any]:
        if kind is np.ndarray:
            return self._once(self._array)
        if kind is list:
            return self._once(lambda value: ["list", *map(self.write, value)])
        if kind is deque:
            return self._once(lambda value: ["deque", value.maxlen, *map(self.write, value)])
        if kind in (set, frozenset):
            form = kind.__name__
            return self._once(lambda value: [form, *sorted(map(self.write, value), key=json.dumps)])
        for form, mapping in _MAPPINGS.items():
            if kind is mapping:
                return self._once(self._mapping(form))
        if issubclass(kind, random.Random):
            return self._once(lambda value: ["dice", self.write(value.getstate())])
        if issubclass(kind, _CODE) or not _is_ours(kind):
            return lambda _: ["code"]
        return self._choose_object(kind)

    def _choose_object(self, kind: type) -> Callable[[Any], Any]:
        number, names = self._class(kind), _names(kind)
        frozen = is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # each has it
        if frozen and not hasattr(kind, "UNSAVED"):
            return lambda value: ["value", number, *[self.write(getattr(value, name)) for name in names]]

        def write(value: Any) -> list[Any]:
            return ["object", number, {name: self.write(item) for name, item in attributes(value)}]

        return self._once(write)

    def _mapping(self, form: str) -> Callable[[Any], Any]:
        def write(value: dict[Any, Any]) -> list[Any]:
            return [form, *[[self.write(key), self.write(item)] for key, item in value.items()]]

        return write

    def _once(self, write: Callable[[Any], list[Any]]) -> Callable[[Any], Any]:
        """Return a way of writing by which what is met again is only named; numbers follow the order of meeting."""
        seen = self._seen

        def written(value: object) -> list[Any]:
            known = seen.get(id(value))
            if known is not None:
                return ["again", known]
            number = seen[id(value)] = len(seen)
            return [number, *write(value)]

        return written

    def _class(self, kind: type) -> int:
        _name(kind)
        return self._classes.setdefault(kind, len(self._classes))

    def _array(self, array: Array) -> list[Any]:
        if array.dtype.hasobject:
            raise SnapshotError("the state holds an array of objects")
        name = f"a{len(self.arrays)}"
        if array.nbytes < SPARSE or not array.ndim:
            self.arrays[name] = np.ascontiguousarray(array)
            return ["array", name]
        flat = np.ascontiguousarray(array).reshape(len(array), -1)
        used = np.flatnonzero(flat.view(np.uint8).reshape(len(array), -1).any(axis=1))
        if 2 * len(used) > len(array):
            self.arrays[name] = flat.reshape(array.shape)
            return ["array", name]
        self.arrays[name], self.arrays[f"{name}r"] = array[used], used
        return ["array", name, f"{name}r", list(array.shape)]


class Filler:
    """Fills fresh objects from one document."""

    def __init__(self, arrays: Mapping[str, Array], tables: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self._classes = [_class(name) for name in tables["classes"]]
        self._slots = [_names(kind) for kind in self._classes]
        self._entities = [Entity(EntityKind(kind), str(name)) for kind, name in tables["entities"]]
        self._made: dict[int, Any] = {}
        self._used: set[int] = set()
        """Fresh objects that stand for one of the document already."""

    def fill(self, document: Any, fresh: Fresh = None) -> Any:
        """Return a document's value; `fresh` is the object in its place in a fresh graph; raise `SnapshotError`."""
        if not isinstance(document, list):
            if isinstance(document, dict):
                raise SnapshotError("the state is damaged: a mapping without a kind")
            return document
        head = document[0]
        if isinstance(head, int):
            return self._shared(head, document[1], document[2:], None if id(fresh) in self._used else fresh)
        return self._value(head, document[1:], fresh)

    def _value(self, kind: str, rest: list[Any], fresh: Fresh) -> Any:
        if kind == "entity":
            return self._entities[rest[0]]
        if kind == "value":
            value = object.__new__(self._classes[rest[0]])
            for name, item in zip(self._slots[rest[0]], rest[1:], strict=True):
                object.__setattr__(value, name, self.fill(item, getattr(fresh, name, None)))
            return value
        if kind == "tuple":
            return tuple(self._items(rest, fresh))
        if kind == "again":
            return self._made[rest[0]]
        if kind == "named":
            return self._classes[rest[0]](*self._items(rest[1:], fresh))
        if kind == "enum":
            return self._classes[rest[0]](rest[1])
        if kind == "scalar":
            return np.dtype(rest[0]).type(rest[1])
        if kind == "bytes":
            return base64.b64decode(rest[0])
        if kind == "code" and fresh is not None:
            return fresh
        raise SnapshotError(f"the state is damaged: there is no {kind!r} here")

    def _items(self, rest: list[Any], fresh: Fresh) -> Iterator[Any]:
        parts = fresh if isinstance(fresh, tuple | list) else ()
        return (self.fill(item, parts[place] if place < len(parts) else None) for place, item in enumerate(rest))

    def _shared(self, number: int, kind: str, rest: list[Any], fresh: Fresh) -> Any:
        if kind == "object":
            return self._object(number, self._classes[rest[0]], rest[1], fresh)
        if kind in _MAPPINGS:
            return self._mapping(number, kind, rest, fresh, None)
        if kind == "list":
            found: list[Any] = []
            self._made[number] = found
            found.extend(self._items(rest, fresh))
            return found
        if kind == "deque":
            row = self._made[number] = deque(maxlen=rest[0])
            row.extend(self.fill(item) for item in rest[1:])
            return row
        value: Any
        if kind == "array":
            value = self._array(rest, fresh)
        elif kind in ("set", "frozenset"):
            value = (set if kind == "set" else frozenset)(self.fill(item) for item in rest)
        elif kind == "dice":
            value = random.Random()  # noqa: S311 - a model's dice, not a secret
            value.setstate(self.fill(rest[0]))
        else:
            raise SnapshotError(f"the state is damaged: there is no {kind!r}")
        self._made[number] = value
        return value

    def _mapping(self, number: int, kind: str, pairs: list[Any], fresh: Fresh, make: Callable[[], Any] | None) -> Any:
        mapping = _MAPPINGS[kind]
        found = defaultdict(getattr(fresh, "default_factory", None)) if mapping is defaultdict else mapping()
        self._made[number] = found
        parts = fresh if isinstance(fresh, dict) else {}
        for key, item in pairs:
            name = self.fill(key)
            found[name] = self.fill(item, make() if make else parts.get(name))
        return found

    def _object(self, number: int, kind: type, items: Mapping[str, Any], fresh: Fresh) -> Any:
        target = fresh if type(fresh) is kind else object.__new__(kind)
        self._made[number] = target
        self._used.add(id(target))
        names, free = _names(kind), hasattr(target, "__dict__")
        make = getattr(target, "_make", None)
        for name, item in items.items():
            if name not in names and not free:
                raise SnapshotError(f"the state is damaged: {kind.__name__} has no {name}")
            if name == "_values" and make is not None and isinstance(item, list) and item[1:2] == ["odict"]:
                value = self._mapping(item[0], "odict", item[2:], None, make)  # a value may hold code of its own
            else:
                value = self.fill(item, getattr(target, name, None))
            object.__setattr__(target, name, value)
        return target

    def _array(self, rest: list[Any], fresh: Fresh) -> Array:
        array = self._arrays[rest[0]]
        if len(rest) > 1:
            whole = np.zeros(rest[2], array.dtype)
            whole[self._arrays[rest[1]]] = array
            array = whole
        if isinstance(fresh, np.ndarray) and fresh.shape == array.shape and fresh.dtype == array.dtype:
            fresh[...] = array
            self._used.add(id(fresh))
            return fresh
        return np.array(array)


def _itself(value: object) -> object:
    return value


def attributes(value: object) -> Iterator[tuple[str, object]]:
    """Yield an object's attributes, in a fixed order, but those that its class keeps out."""
    kind = type(value)
    unsaved = getattr(kind, "UNSAVED", ())
    for name in (*_names(kind), *getattr(value, "__dict__", ())):
        if name not in unsaved and hasattr(value, name):
            yield name, getattr(value, name)


_SLOTS: dict[type, tuple[str, ...]] = {}


def _names(kind: type) -> tuple[str, ...]:
    known = _SLOTS.get(kind)
    if known is None:
        found: list[str] = []
        for each in reversed(kind.__mro__):
            slots = each.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                private = slot.startswith("__") and not slot.endswith("__")
                found.append(f"_{each.__name__.lstrip('_')}{slot}" if private else slot)
        if not found and is_dataclass(kind):
            found = list(kind.__dataclass_fields__)
        known = _SLOTS[kind] = tuple(name for name in found if name not in ("__dict__", "__weakref__"))
    return known


def _is_ours(kind: type) -> bool:
    return f"{kind.__module__}.".startswith(OURS)


def _name(kind: type) -> str:
    if not _is_ours(kind):
        raise SnapshotError(f"the state holds a {kind.__module__}.{kind.__qualname__}, which has no form on disk")
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: object) -> type[Any]:
    """Return a class of ours that is loaded already; raise `SnapshotError`."""
    module, _, path = str(name).partition(":")
    found: object = sys.modules.get(module) if f"{module}.".startswith(OURS) else None
    for part in path.split("."):
        found = vars(found).get(part) if isinstance(found, ModuleType | type) else None
    if not isinstance(found, type) or not _is_ours(found) or issubclass(found, BaseException):
        raise SnapshotError(f"the state names {name!r}, which is no class of ours")
    return found
