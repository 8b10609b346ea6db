"""Changes to a bundle's data: JSON Patch (RFC 6902) and risk thresholds.

Pure. Guarantees: the data given is left as it is; a patch is applied whole or raises `BundleError`. Knows `add`,
`replace`, `remove` and `test`; of `move` and `copy` nothing, since a proposal reads better without them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from policy.bundles import Bundle
from policy.canonical import canonical
from policy.errors import BundleError, DocumentError

MAX_OPERATIONS = 1_000
MAX_DEPTH = 64
BANDS = ("ostiary", "config", "bands")
"""Where a bundle in the shipped form keeps its risk bands."""


def patched(bundle: Bundle, operations: object) -> Bundle:
    """Return the bundle with its data changed by a JSON Patch, under a revision of its own."""
    if not isinstance(operations, list) or len(operations) > MAX_OPERATIONS:
        raise BundleError(f"a patch is a list of at most {MAX_OPERATIONS} operations (RFC 6902)")
    data = deepcopy(dict(bundle.data))
    for number, operation in enumerate(operations):
        try:
            _apply(data, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BundleError(f"operation {number} of the patch does not fit the data: {error}") from error
    try:
        digest = hashlib.sha256(bundle.revision.encode() + canonical(data)).hexdigest()
    except DocumentError as error:
        raise BundleError(f"the patched data: {error}") from error
    return replace(bundle, data=data, revision=digest)


def thresholds(bundle: Bundle, bands: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the patch that makes risk bands begin elsewhere; raise `BundleError` where the bundle has none such."""
    held = _bands(bundle)
    places = {band.get("name"): number for number, band in enumerate(held)}
    if unknown := sorted(set(bands) - set(places)):
        raise BundleError(f"the bundle has no risk band {', '.join(unknown)}, but {', '.join(map(str, places))}")
    return [
        {"op": "replace", "path": f"/{'/'.join(BANDS)}/{places[name]}/at_least", "value": at_least}
        for name, at_least in bands.items()
    ]


def _bands(bundle: Bundle) -> list[Any]:
    held: Any = bundle.data
    for key in BANDS:
        held = held.get(key) if isinstance(held, Mapping) else None
    if not isinstance(held, list) or not all(isinstance(band, Mapping) for band in held):
        raise BundleError(f"the bundle has no risk bands at {'.'.join(BANDS)}")
    return held


def budget(bundle: Bundle, start: float) -> list[dict[str, Any]]:
    """Return the patch that lets the band `high`, which refuses, begin at a risk, and `critical` not below it."""
    found = thresholds(bundle, {"high": start})
    critical = next(band["at_least"] for band in _bands(bundle) if band.get("name") == "critical")
    return found + thresholds(bundle, {"critical": max(critical, start)})


def within_budget(risks: Sequence[float], per_day: float, days: int) -> float:
    """Return the lowest risk at which no more than `per_day` alarms a day would have begun.

    `risks` are the highest of each entity on each day; a risk has four decimal places. 1.0001 where none may begin.
    """
    allowed = int(per_day * days)
    highest = sorted(risks, reverse=True)
    return round(highest[allowed] + 1e-4, 4) if len(highest) > allowed else (highest[-1] if highest else 1.0)


def _apply(data: Any, operation: Any) -> None:  # JSON values
    kind, path = operation["op"], _path(operation["path"])
    for key in path[:-1]:
        data = data[_index(data, key)] if isinstance(data, list) else data[key]
    last: Any = path[-1]
    if kind == "add" and isinstance(data, list):
        data.insert(len(data) if last == "-" else _index(data, last, 1), operation["value"])
        return
    if isinstance(data, list):
        last = _index(data, last)
    if kind != "add" and last not in (range(len(data)) if isinstance(data, list) else data):
        raise KeyError(operation["path"])
    if kind in ("add", "replace"):
        data[last] = deepcopy(operation["value"])
    elif kind == "remove":
        del data[last]
    elif kind != "test":
        raise ValueError(f"no operation {kind!r} here")
    elif data[last] != operation["value"]:
        raise ValueError(f"{operation['path']} is not what the patch expects")


def _path(pointer: object) -> Sequence[str]:
    """Return a JSON pointer's parts (RFC 6901); the whole document cannot be meant."""
    if not isinstance(pointer, str) or not pointer.startswith("/") or pointer.count("/") > MAX_DEPTH:
        raise ValueError(f"{pointer!r} is no pointer into the data")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _index(data: Sequence[Any], key: str, beyond: int = 0) -> int:
    index = int(key) if key.isascii() and key.isdigit() else -1
    if not 0 <= index < len(data) + beyond:
        raise IndexError(f"no element {key!r}")
    return index
