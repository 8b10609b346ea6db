"""Read one JSON object a line, from anybody, and take values out of it."""

import json
from typing import Any

from sensors.logs.builder import decode
from sensors.logs.errors import MalformedLineError
from sensors.logs.stamps import stamp
from sensors.logs.time import epoch_number

_EPOCH_END = 4_102_444_800  # larger numbers are milliseconds

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


def at(value: object, path: str) -> object:
    """Return what lies at `a.b.0`; None where there is nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def as_text(value: object) -> str:
    """Return a value as text: a text as it is, nothing as "", anything else as JSON."""
    if isinstance(value, str):
        return decode(value)
    return "" if value is None else json.dumps(value)


def instant(value: object, now_ns: int) -> int:
    """Take a time stamp in a text, or seconds or milliseconds since the epoch; raise `MalformedLineError`."""
    if isinstance(value, str):
        return stamp(value.encode("utf-8", "backslashreplace"), now_ns)
    if type(value) in (int, float) and _EPOCH_END <= value < 1000 * _EPOCH_END:  # type: ignore[operator]  # a number by then
        return epoch_number(value / 1000)  # type: ignore[operator]  # as above
    return epoch_number(value)
