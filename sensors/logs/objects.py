"""Lines with one JSON object, of services that `sensors.logs.services` knows by their keys."""

from functools import cache

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.json import JsonObject, as_text, at, instant, read_object
from sensors.logs.patterns import Pattern
from sensors.logs.services import JsonRule, JsonService, json_services


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
        instant(at(value, service.time), out.now_ns), seq, rule.outcome, orig=fields["orig"],
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
