"""From a graph of our own objects to JSON and arrays, and back: the state of the risk core without pickle.

Guarantees: reading calls nothing that the data names; it makes instances only of classes that are loaded already and
belong to `OURS`, by `object.__new__`, and sets their attributes. What is code (functions, compiled patterns, kernels)
isn't written: reading fills a fresh object of the same settings, which has its own. Equal graphs give equal bytes; what
is shared stays shared. A class may keep attributes out by `UNSAVED`. Data that fits nothing raises `SnapshotError`.
"""

import base64
import json
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any  # a graph of objects holds anything

import numpy as np
from numpy.typing import NDArray

from risk.errors import SnapshotError

OURS = ("risk.", "sensors.", "river.")
SPARSE = 1 << 16
"""Bytes from which on an array is written without its rows of zeros, where most are."""
DEEPEST = 200
Array = NDArray[Any]
_MAPPINGS: dict[str, type] = {"dict": dict, "odict": OrderedDict, "counter": Counter, "ddict": defaultdict}
_CODE = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type)


class Writer:
    """Writes one graph; `arrays` belong to the document."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []
        """Objects that `_seen` names by their address."""

    def write(self, value: object, depth: int = 0) -> Any:
        """Return a value as JSON; raise `SnapshotError` for what has no form."""
        if isinstance(value, Enum):
            return {"enum": _name(type(value)), "of": value.value}
        if value is None or isinstance(value, bool | str) or type(value) in (int, float):
            return value
        if depth > DEEPEST:
            raise SnapshotError("the state is nested too deeply")
        if isinstance(value, np.generic):
            return {"scalar": value.dtype.str, "of": value.item()}
        if isinstance(value, bytes):
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, tuple):
            kind = {"named": _name(type(value))} if type(value) is not tuple else {}
            return {"tuple": [self.write(item, depth + 1) for item in value], **kind}
        return self._once(value, depth)

    def _once(self, value: object, depth: int) -> Any:
        known = self._seen.get(id(value))
        if known is not None:
            return {"again": known}
        number = self._seen[id(value)] = len(self._alive)
        self._alive.append(value)
        return {"no": number, **self._shared(value, depth + 1)}

    def _shared(self, value: object, depth: int) -> dict[str, Any]:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, list):
            return {"list": [self.write(item, depth) for item in value]}
        if isinstance(value, deque):
            return {"deque": [self.write(item, depth) for item in value], "most": value.maxlen}
        if isinstance(value, set | frozenset):
            items = sorted((self.write(item, depth) for item in value), key=json.dumps)
            return {"set": items, "frozen": isinstance(value, frozenset)}
        if isinstance(value, dict):
            form = next((name for name, kind in _MAPPINGS.items() if type(value) is kind), None)
            if form is not None:
                return {form: [[self.write(key, depth), self.write(item, depth)] for key, item in value.items()]}
        if isinstance(value, random.Random):
            return {"dice": self.write(value.getstate(), depth)}
        return self._object(value, depth)

    def _object(self, value: object, depth: int) -> dict[str, Any]:
        kind = type(value)
        if isinstance(value, _CODE) or not _is_ours(kind):
            return {"code": f"{kind.__module__}.{kind.__qualname__}"}
        kept = [[name, self.write(item, depth)] for name, item in attributes(value)]
        return {"object": _name(kind), "with": kept}

    def _array(self, array: Array) -> dict[str, Any]:
        if array.dtype.hasobject:
            raise SnapshotError("the state holds an array of objects")
        name = f"a{len(self.arrays)}"
        if array.nbytes < SPARSE or not array.ndim:
            self.arrays[name] = np.ascontiguousarray(array)
            return {"array": name}
        flat = np.ascontiguousarray(array).reshape(len(array), -1)
        used = np.flatnonzero(flat.view(np.uint8).reshape(len(array), -1).any(axis=1))
        if 2 * len(used) > len(array):
            self.arrays[name] = flat.reshape(array.shape)
            return {"array": name}
        self.arrays[name], self.arrays[f"{name}r"] = array[used], used
        return {"array": name, "rows": f"{name}r", "shape": list(array.shape)}


class Filler:
    """Fills fresh objects from one document."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self._made: dict[int, object] = {}
        self._used: set[int] = set()
        """Fresh objects that stand for one of the document already."""

    def fill(self, document: Any, fresh: object = None) -> Any:
        """Return a document's value; `fresh` is the object in its place in a fresh graph; raise `SnapshotError`."""
        if not isinstance(document, dict):
            if isinstance(document, list):
                raise SnapshotError("the state is damaged: a list without a kind")
            return document
        if "again" in document:
            return self._made[document["again"]]
        if "tuple" in document:
            return self._tuple(document, fresh)
        if "enum" in document:
            return _class(document["enum"])(document["of"])
        if "scalar" in document:
            return np.dtype(document["scalar"]).type(document["of"])
        if "bytes" in document:
            return base64.b64decode(document["bytes"])
        return self._shared(document, fresh)

    def _tuple(self, document: Mapping[str, Any], fresh: object) -> object:
        parts = fresh if isinstance(fresh, tuple) else ()
        items = [
            self.fill(item, parts[place] if place < len(parts) else None)
            for place, item in enumerate(document["tuple"])
        ]
        return _class(document["named"])(*items) if "named" in document else tuple(items)

    def _shared(self, document: Mapping[str, Any], fresh: object) -> object:
        number = document["no"]
        if fresh is not None and id(fresh) in self._used:
            fresh = None
        if "object" in document:
            return self._object(document, fresh, number)
        if "code" in document:
            if fresh is None:
                raise SnapshotError(f"the state holds code that isn't here: {document['code']}")
            value: object = fresh
        elif "array" in document:
            value = self._array(document, fresh)
        elif "set" in document:
            items = (self.fill(item) for item in document["set"])
            value = frozenset(items) if document["frozen"] else set(items)
        elif "dice" in document:
            dice = random.Random()  # noqa: S311 - a model's dice, not a secret
            dice.setstate(self.fill(document["dice"]))
            value = dice
        else:
            return self._container(document, fresh, number)
        self._made[number] = value
        return value

    def _container(self, document: Mapping[str, Any], fresh: object, number: int) -> object:
        if "list" in document:
            parts = fresh if isinstance(fresh, list) else []
            found: list[object] = []
            self._made[number] = found
            for place, item in enumerate(document["list"]):
                found.append(self.fill(item, parts[place] if place < len(parts) else None))
            return found
        if "deque" in document:
            row: deque[object] = deque(maxlen=document["most"])
            self._made[number] = row
            row.extend(self.fill(item) for item in document["deque"])
            return row
        form = next((name for name in _MAPPINGS if name in document), None)
        if form is None:
            raise SnapshotError("the state is damaged: a value of no known kind")
        return self._mapping(document[form], _MAPPINGS[form], fresh, number)

    def _mapping(self, pairs: Iterable[Any], kind: type, fresh: object, number: int, make: Any = None) -> object:
        found = defaultdict(getattr(fresh, "default_factory", None)) if kind is defaultdict else kind()
        self._made[number] = found
        parts = fresh if isinstance(fresh, dict) else {}
        for key, item in pairs:
            name = self.fill(key)
            found[name] = self.fill(item, make() if make else parts.get(name))
        return found

    def _object(self, document: Mapping[str, Any], fresh: object, number: int) -> object:
        kind = _class(document["object"])
        target = fresh if type(fresh) is kind else object.__new__(kind)
        self._made[number] = target
        self._used.add(id(target))
        made = getattr(target, "_make", None)
        for name, item in document["with"]:
            if name not in _names(kind) and not hasattr(target, "__dict__"):
                raise SnapshotError(f"the state is damaged: {kind.__name__} has no {name}")
            if name == "_values" and made is not None and isinstance(item, dict) and "odict" in item:
                value = self._mapping(item["odict"], OrderedDict, None, item["no"], made)
            else:
                value = self.fill(item, getattr(target, name, None))
            object.__setattr__(target, name, value)
        return target

    def _array(self, document: Mapping[str, Any], fresh: object) -> Array:
        array = self._arrays[document["array"]]
        if "rows" in document:
            whole = np.zeros(document["shape"], array.dtype)
            whole[self._arrays[document["rows"]]] = array
            array = whole
        if isinstance(fresh, np.ndarray) and fresh.shape == array.shape and fresh.dtype == array.dtype:
            fresh[...] = array
            self._used.add(id(fresh))
            return fresh
        return np.array(array)


def attributes(value: object) -> Iterator[tuple[str, object]]:
    """Yield an object's attributes, in a fixed order, but those that its class keeps out."""
    kind = type(value)
    unsaved = getattr(kind, "UNSAVED", ())
    for name in (*_names(kind), *getattr(value, "__dict__", ())):
        if name not in unsaved and hasattr(value, name) and name not in ("__dict__", "__weakref__"):
            yield name, getattr(value, name)


def _names(kind: type) -> list[str]:
    found: list[str] = []
    for each in reversed(kind.__mro__):
        slots = each.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            private = slot.startswith("__") and not slot.endswith("__")
            found.append(f"_{each.__name__.lstrip('_')}{slot}" if private else slot)
    return found


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
