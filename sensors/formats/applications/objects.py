"""Lines with one JSON object, of services that `sensors.logs.services` knows by their keys."""

import json
from functools import cache

from sensors.logs.builder import BatchBuilder, decode
from sensors.logs.errors import MalformedLineError
from sensors.logs.json import JsonObject, read_object
from sensors.logs.patterns import Pattern
from sensors.logs.services import JsonRule, JsonService, json_services
from sensors.logs.stamps import stamp
from sensors.logs.time import epoch_number

_EPOCH_END = 4_102_444_800  # larger numbers are milliseconds or finer


class _Rule:
    """A rule, compiled."""

    def __init__(self, rule: JsonRule) -> None:
        self.outcome, self.method = rule.outcome, rule.method
        self._patterns = [(path, Pattern(expression)) for path, expression in rule.expressions]

    def fields(self, value: JsonObject) -> dict[str, bytes] | None:
        """Return what the groups hold, or None where an expression doesn't fit."""
        fields: dict[str, bytes] = {}
        for path, pattern in self._patterns:
            found = pattern.groups(as_text(at(value, path)).encode("utf-8", "backslashreplace"))
            if found is None:
                return None
            fields.update({name: text for name, text in zip(pattern.names, found, strict=True) if text})
        return fields


@cache
def _rules(service: JsonService) -> tuple[_Rule, ...]:
    return tuple(map(_Rule, service.rules))


class ObjectReader:
    """Adds the row of a JSON line."""

    def read(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line, if it tells of a login; raise `MalformedLineError`."""
        value = read_object(line)
        for service in json_services():
            if not _is_of(service, value):
                continue
            for rule in _rules(service):
                fields = rule.fields(value)
                if fields is not None and fields.get("orig"):
                    _tell(service, rule, fields, value, seq, out)
                    return True
        return False


def _tell(
    service: JsonService, rule: _Rule, fields: dict[str, bytes], value: JsonObject, seq: int, out: BatchBuilder
) -> None:
    out.auth(
        _time(at(value, service.time), out.now_ns), seq, rule.outcome, orig=fields["orig"],
        user=fields.get("user", b""), service=service.name, method=fields.get("method", rule.method.encode()).lower(),
    )  # fmt: skip


def has_keys_of_a_service(line: bytes) -> bool:
    """Whether a line is a JSON object of a known service."""
    try:
        value = read_object(line)
    except MalformedLineError:
        return False
    return any(_is_of(service, value) for service in json_services())


def _is_of(service: JsonService, value: JsonObject) -> bool:
    return all(at(value, path) is not None for path in service.has)


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
    """Return a value as rules see it: a text as it is, nothing as "", anything else as JSON."""
    if isinstance(value, str):
        return decode(value)
    return "" if value is None else json.dumps(value)


def _time(value: object, now_ns: int) -> int:
    """Read a text with a time stamp, or seconds or milliseconds since the epoch."""
    if isinstance(value, str):
        return stamp(value.encode("utf-8", "backslashreplace"), now_ns)
    if type(value) in (int, float) and value >= _EPOCH_END:  # type: ignore[operator]  # a number by then
        return epoch_number(value / 1000)  # type: ignore[operator]  # as above
    return epoch_number(value)
