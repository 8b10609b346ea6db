"""What a bundle says must not be shown or exported: OPA's own masking rules, `data.system.log.mask`.

The rules see the event of a decision log (`input.input` is the document, `input.result` the answer) and give a set of
JSON pointers (`"/input/subject/identity"` is taken away) or of objects `{"op": "remove" | "upsert", "path", "value"}`.
Guarantees: what a mask names is not in what `masked` returns; rules that fail, or answer something else, take the input
and the reasons' texts away altogether, never nothing; a bundle without such rules masks nothing. Names what it took in
`erased` and `masked`, as OPA does.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from policy.bundles import Bundle
from policy.engines.embedded import EmbeddedEngine
from policy.errors import EvaluationError
from policy.lint import MASKS
from policy.rules import Module

ENTRYPOINT = "data.system.log.mask"
EVERYTHING = ("/input", "/result/reasons")
"""What is taken away where nobody knows what to take."""


class Masks:
    """The masking rules of a bundle. Belongs to one thread."""

    def __init__(self, bundle: Bundle) -> None:
        """Compile the rules; raise `BundleError`."""
        there = any(Module.parse(name, text).package == MASKS for name, text in bundle.modules.items())
        self._engine = EmbeddedEngine(bundle, ENTRYPOINT) if there else None

    def masked(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return an event of the decision log (JSON values, hence Any) without what must not be shown."""
        shown = deepcopy(dict(event))
        for path, value in self._found(event):
            done = _take(shown, path) if value is None else _put(shown, path, value[0])
            if done:
                shown.setdefault("erased" if value is None else "masked", []).append(path)
        return shown

    def _found(self, event: Mapping[str, Any]) -> list[tuple[str, tuple[Any] | None]]:
        """Return (pointer, (its new value,) or None to take it away)."""
        if self._engine is None:
            return []
        try:
            found = json.loads(self._engine.evaluate_text(json.dumps(event)))
            return [_mask(item) for item in found]
        except (EvaluationError, ValueError, TypeError, KeyError, RecursionError):
            return [(path, None) for path in EVERYTHING]


def _mask(item: Any) -> tuple[str, tuple[Any] | None]:
    if isinstance(item, str):
        return _pointer(item), None
    if item["op"] == "remove":
        return _pointer(item["path"]), None
    if item["op"] == "upsert":
        return _pointer(item["path"]), (item["value"],)
    raise ValueError("no such mask")


def _pointer(path: Any) -> str:
    """Return a pointer into the input or the result; nothing else may be masked."""
    if not isinstance(path, str) or path.split("/")[1:2] not in (["input"], ["result"]):
        raise ValueError("a mask must lead into /input or /result")
    return path


def _inner(event: Any, path: str) -> tuple[Any, str]:
    """Return what holds the last part of a pointer, and that part; (None, "") where there is no such place."""
    *keys, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for key in keys:
        event = event.get(key) if isinstance(event, dict) else None
    return (event, last) if isinstance(event, dict) else (None, "")


def _take(event: dict[str, Any], path: str) -> bool:
    holder, last = _inner(event, path)
    if holder is None or last not in holder:
        return False
    del holder[last]
    return True


def _put(event: dict[str, Any], path: str, value: Any) -> bool:
    holder, last = _inner(event, path)
    if holder is None:
        return False
    holder[last] = value
    return True
