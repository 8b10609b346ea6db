"""Read one JSON object a line, from anybody."""

import json
from typing import Any

from sensors.logs.builder import decode
from sensors.logs.errors import MalformedLineError

JsonObject = dict[str, Any]  # Any: JSON; whoever takes a value out checks it


def read_object(line: bytes) -> JsonObject:
    """Return the object on a line; raise `MalformedLineError` with the code `log.json`."""
    try:
        value = json.loads(decode(line))
    except (ValueError, RecursionError):
        raise MalformedLineError("log.json", "not JSON") from None
    if not isinstance(value, dict):
        raise MalformedLineError("log.json", "not a JSON object")
    return value
