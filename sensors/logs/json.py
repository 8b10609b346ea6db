"""Read one JSON object a line, from anybody, and take values out of it."""

import codecs
import json
from typing import Any

from sensors.logs.builder import decode
from sensors.logs.errors import MalformedLineError
from sensors.logs.stamps import stamp
from sensors.logs.time import epoch_number

_EPOCH_END = 4_102_444_800  # larger numbers are milliseconds

JsonObject = dict[str, Any]  # Any: JSON; whoever takes a value out checks it


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell bytes that aren't UTF-8 as `decode` does, with the backslash escaped, for they stand inside a string."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"\\\\x{byte:02x}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("ostiary.json", _spelled)


def read_object(line: bytes) -> JsonObject:
    """Return the object on a line; raise `MalformedLineError` with the code `log.json`."""
    try:
        value = json.loads(line.decode("utf-8", "ostiary.json"))
    except (ValueError, RecursionError):
        raise MalformedLineError("log.json", "not JSON") from None
    if not isinstance(value, dict):
        raise MalformedLineError("log.json", "not a JSON object")
    return value


def at(value: object, path: str) -> object:
    """Return what lies at `a.b.0`, also where keys hold the dots (`"a.b": ...`); None where there is nothing."""
    if isinstance(value, dict):
        if path in value:
            return value[path]
        head, dot, rest = path.partition(".")
        while dot:
            if head in value and (found := at(value[head], rest)) is not None:
                return found
            step, dot, rest = rest.partition(".")
            head = f"{head}.{step}"
        return None
    step, dot, rest = path.partition(".")
    if isinstance(value, list) and step.isdigit() and int(step) < len(value):
        return at(value[int(step)], rest) if dot else value[int(step)]
    return None


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
