"""Input documents made up from the schema and from what a bundle speaks of.

Guarantees: the same bundle, seed and count give the same documents; most satisfy the published schema, one in five has
parts missing or of the wrong kind. Texts, names of entities (`ip:192.0.2.7`), numbers and times that stand in the
bundle's rules and data, and the numbers and seconds beside them, come up often: there rules change their mind.
"""

import copy
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from policy.bundles import Bundle
from policy.inputs import published
from policy.rules import Module
from policy.syntax import nodes
from sensors.entities import EntityKind

_JUNK: list[Any] = [None, True, 0, -1, 2, 1e308, -0.0, "", "x", [], ["normal"], {}, {"a": 1}, "2026-06-01T00:00:00"]
_TIMES = ["1970-01-01T00:00:00Z", "2026-01-01T12:00:00Z", "2026-06-06T23:59:59Z", "9999-12-31T23:59:59Z"]
KINDS = frozenset(kind.value for kind in EntityKind)
_LENGTH = len(_TIMES[0])


def documents(bundle: Bundle, count: int, seed: int = 2026) -> Iterator[Any]:
    """Yield `count` inputs (JSON values)."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    words = _Words.of(bundle)
    for number in range(count):
        document = words.make(published(), chance)
        yield _broken(document, chance) if number % 5 == 4 else document


class _Words:
    """What a bundle speaks of."""

    def __init__(self, texts: list[str], numbers: list[float]) -> None:
        self._times = [time for text in texts if _is_time(text) for time in _around(text)] + _TIMES
        self._texts = [text for text in texts if not _is_time(text) and " " not in text] or ["x"]  # sentences are told
        self._entities = [text.split(":", 1) for text in texts if text.partition(":")[0] in KINDS and ":" in text]
        self._said: list[str] = []
        self._numbers = [beside for number in numbers for beside in (number, number - 1e-4, number + 1e-4)]

    @classmethod
    def of(cls, bundle: Bundle) -> "_Words":
        texts: set[str] = {"", "ü", "a\u0000b", '"}', "😀", "192.0.2.7", "alice"}
        numbers: set[float] = {0, 1, 0.5}
        for name, text in bundle.modules.items():
            for kind, fields in nodes(Module.parse(name, text).tree["rules"]):
                if kind in {"String", "RawString"}:
                    texts.add(str(fields["value"]))
                elif kind == "Number" and isinstance(fields["value"], int | float):
                    numbers.add(fields["value"])
        _collect(bundle.data, texts, numbers)
        return cls(sorted(texts | {text.partition(":")[2] for text in texts if ":" in text}), sorted(numbers))

    def make(self, schema: Mapping[str, Any], chance: random.Random) -> Any:
        """Return a random value that satisfies a schema."""
        if "enum" in schema:
            return chance.choice(schema["enum"])
        if "oneOf" in schema:
            return self.make(chance.choice([schema["oneOf"][0], *schema["oneOf"][1:] * 4]), chance)
        match schema["type"]:
            case "object":
                return self._object(schema, chance)
            case "array":
                return [self.make(schema["items"], chance) for _ in range(chance.randrange(3))]
            case "number":
                return self._number(schema, chance)
            case _:
                return self._text(schema, chance)

    def _object(self, schema: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
        value = {key: self.make(inner, chance) for key, inner in schema.get("properties", {}).items()}
        further = schema.get("additionalProperties")
        if isinstance(further, dict):
            value.update({chance.choice(self._texts): self.make(further, chance) for _ in range(chance.randrange(3))})
        if self._entities and {"kind", "id"} <= set(value) and chance.random() < 0.2:
            value["kind"], value["id"] = chance.choice(self._entities)
        return value

    def _number(self, schema: Mapping[str, Any], chance: random.Random) -> float:
        low, high = schema.get("minimum", 0), schema.get("maximum", 1e6)
        inside = [number for number in self._numbers if low <= number <= high]
        if inside and chance.random() < 0.5:
            return round(chance.choice(inside), 4)
        return round(chance.uniform(low, high), 4)

    def _text(self, schema: Mapping[str, Any], chance: random.Random) -> str:
        if "pattern" in schema:
            return chance.choice(self._times)
        kind = chance.random()
        text = chance.choice(self._texts) if kind < 0.8 else "".join(chance.choices("abc.:/ü-", k=9))
        if kind < 0.15 and self._said:
            text = chance.choice(self._said)  # rules compare fields with each other, too
        self._said = [*self._said[-5:], text]
        return text or "x" * schema.get("minLength", 0)


def _collect(value: Any, texts: set[str], numbers: set[float]) -> None:  # JSON values
    if isinstance(value, dict):
        texts.update(value)
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _collect(item, texts, numbers)
    elif isinstance(value, str):
        texts.add(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        numbers.add(value)


def _is_time(text: str) -> bool:
    return len(text) == _LENGTH and text[10:11] == "T" and text.endswith("Z") and text[:4].isdigit()


def _around(text: str) -> list[str]:
    try:
        moment = datetime.fromisoformat(text)
        return [f"{moment + timedelta(seconds=step):%Y-%m-%dT%H:%M:%SZ}" for step in (-1, 0, 1)]
    except (ValueError, OverflowError):
        return []


def _broken(document: dict[str, Any], chance: random.Random) -> Any:
    """Return a document with a part missing, replaced by junk, or nothing but junk."""
    if chance.random() < 0.05:
        return copy.deepcopy(chance.choice(_JUNK))
    document = copy.deepcopy(document)
    for _ in range(chance.randrange(1, 3)):
        part: Any = document
        key = chance.choice(sorted(part))
        while isinstance(part[key], dict) and part[key] and chance.random() < 0.7:
            part = part[key]
            key = chance.choice(sorted(part))
        if chance.random() < 0.4 and len(part) > 1:
            del part[key]
        else:
            part[key] = copy.deepcopy(chance.choice(_JUNK))
    return document
