"""Lines with one JSON object, of services that `sensors.logs.services` knows by their keys.

Some keep many objects in one: CloudTrail's files (`Records`) and the lists of Kubernetes (`items`); each of those
counts, and one that can't be read makes the line malformed without taking the others with it.
"""

from collections.abc import Iterable, Iterator
from functools import cache

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.json import JsonObject, as_text, at, instant, read_object
from sensors.logs.patterns import Pattern
from sensors.logs.services import JsonRule, JsonService, json_services
from sensors.values import Kind

_LISTS = ("Records", "items")
_SEVERITIES = {b"6": 1, b"5": 1, b"4": 2}
"""OCSF's severity_id (6 fatal, 5 critical, 4 high) as Suricata counts; anything else is 3."""


class _Expressions:
    """Expressions that the values of an object must all fit, compiled."""

    def __init__(self, expressions: Iterable[tuple[str, str]]) -> None:
        self._patterns = [(path, Pattern(expression)) for path, expression in expressions]

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
def _rules(service: JsonService) -> tuple[tuple[JsonRule, _Expressions], ...]:
    return tuple((rule, _Expressions(rule.expressions)) for rule in service.rules)


@cache
def _only(service: JsonService) -> _Expressions:
    return _Expressions(service.only)


class ObjectReader:
    """Adds the rows of a JSON line."""

    def read(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add what a line tells of logins and alerts; raise `MalformedLineError`."""
        told, wrong = False, None
        for value in _within(read_object(line)):
            if found := _told(value):
                told = True
                try:
                    _tell(*found, value, seq, out)
                except (MalformedLineError, ValueError) as error:
                    wrong = error
        if wrong is not None:
            raise wrong
        return told


def _within(value: JsonObject) -> Iterator[JsonObject]:
    """Yield the objects of a list of events, or the object itself."""
    for name in _LISTS:
        inner = value.get(name)
        if isinstance(inner, list):
            yield from (each for each in inner if isinstance(each, dict))
            return
    yield value


def _told(value: JsonObject) -> tuple[JsonService, JsonRule, dict[str, bytes]] | None:
    for service in json_services():
        if not _is_of(service, value):
            continue
        for rule, expressions in _rules(service):
            fields = expressions.fields(value)
            if fields is not None and fields.get("orig"):
                return service, rule, fields
    return None


def _tell(
    service: JsonService, rule: JsonRule, fields: dict[str, bytes], value: JsonObject, seq: int, out: BatchBuilder
) -> None:
    ts, orig = instant(at(value, service.time), out.now_ns), fields["orig"]
    if rule.outcome is None:
        severity = _SEVERITIES.get(fields.get("severity", b""), 3)
        codes = (
            out.host(orig), out.host(fields.get("resp", b"")), 0, out.text(fields.get("signature", b"")),
            out.text(fields.get("category", service.name.encode())), 0, severity,
        )  # fmt: skip
        out.row(Kind.ALERT, (ts, seq, 0, *codes))
        return
    out.auth(
        ts, seq, rule.outcome, orig=orig, user=fields.get("user", b""), service=service.name,
        method=fields.get("method", rule.method.encode()).lower(),
    )  # fmt: skip


def has_keys_of_a_service(line: bytes) -> bool:
    """Whether a line is a JSON object of a known service."""
    try:
        value = read_object(line)
    except MalformedLineError:
        return False
    return any(_is_of(service, each) for each in _within(value) for service in json_services())


def _is_of(service: JsonService, value: JsonObject) -> bool:
    return all(at(value, path) is not None for path in service.has) and _only(service).fields(value) is not None
