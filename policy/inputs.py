"""References into the input that the published schema does not know: they would always be undefined."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from policy.rules import Module
from policy.syntax import Node, nodes, path_of

SCHEMA = Path(__file__).parent / "schema" / "input.schema.json"


@cache
def published() -> Mapping[str, Any]:
    """Return the JSON Schema of the input document."""
    schema: Mapping[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return schema


def outside(module: Module, schema: Mapping[str, Any] | None = None) -> Iterator[tuple[Node, str]]:
    """Yield the references of a module to fields that no input has."""
    for kind, fields in nodes(module.tree["rules"]):
        if kind not in {"RefDot", "RefBrack"}:
            continue
        path = module.meant(path_of({kind: fields}) or ())
        if path[:1] == ("input",) and not _knows(published() if schema is None else schema, path[1:]):
            yield fields, f"{'.'.join(path)} is not part of the input document"


def _knows(schema: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    if not path or not schema:
        return True
    if "oneOf" in schema:
        return any(_knows(choice, path) for choice in schema["oneOf"])
    inner = schema.get("properties", {}).get(
        path[0], schema.get("additionalProperties", schema.get("type") != "object")
    )
    if isinstance(inner, bool):
        return inner and schema.get("type") in {"object", None}
    return _knows(inner, path[1:])
