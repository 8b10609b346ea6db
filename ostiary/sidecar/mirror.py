"""The risks as the engine last told them: what the gate answers from.

Guarantees: a read costs a few microseconds and no memory; a risk decays in event time as the engine's own does; an
entity that the engine never spoke of has no risk, as long as the engine was heard at all. Holds about a quarter of a
kilobyte an entity; the engine bounds their number (`risk.max_entities`) and says whom to forget.
"""

import struct
from collections.abc import Iterator
from sys import intern

from risk.standing import Part, Standing, assessed
from risk.values import Assessment, Level
from sensors.entities import Entity, EntityKind

_HEAD = struct.Struct("<qdB")  # instant of the weights, seconds since the newest evidence, level
_PART = struct.Struct("<Hddf")  # reason, weight, half-life, support
_LEVELS = tuple(Level)


class Mirror:
    """Standings by entity, and how old they are."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}
        self._texts: list[str] = [""]
        self._numbers: dict[str, int] = {"": 0}
        self.revision = ""
        """The model's, as the engine last said."""
        self.synced_ns = 0
        """When the engine was last heard to have told everything; 0: never."""

    def __len__(self) -> int:
        return len(self._held)

    def put(self, standing: Standing) -> None:
        """Take what the engine says of an entity; one without parts is forgotten."""
        key = _key(standing.entity)
        if not standing.parts:
            self._held.pop(key, None)
            return
        head = _HEAD.pack(standing.ts, standing.age_s, _LEVELS.index(standing.level))
        parts = [
            _PART.pack(self._number(part.reason), part.weight, part.half_life_s, part.support)
            for part in standing.parts
        ]
        self._held[key] = head + b"".join(parts)

    def version(self, entity: Entity) -> bytes:
        """Return what changes whenever the engine says something new of an entity."""
        return self._held.get(_key(entity), b"")

    def assess(self, entity: Entity, at: int) -> Assessment | None:
        """Return an entity's assessment at an instant (ns); None where the engine was never heard."""
        held = self._held.get(_key(entity))
        if held is not None:
            return assessed(self._standing(entity, held), at, self.revision)
        if not self.synced_ns:
            return None
        return Assessment(min(at, self.synced_ns), entity, 0.0, Level.LOW, 0.0, 0.0, 0.0, (), (), {}, self.revision)

    def standings(self) -> Iterator[Standing]:
        """Yield everything that is held."""
        for key in list(self._held):
            held = self._held.get(key)
            if held is None:
                continue  # forgotten while others were told
            kind, _, name = key.partition(":")
            yield self._standing(Entity(EntityKind(kind), name), held)

    def _standing(self, entity: Entity, held: bytes) -> Standing:
        ts, age_s, level = _HEAD.unpack_from(held)
        parts = tuple(
            Part(self._texts[reason], weight, half_life_s, support)
            for reason, weight, half_life_s, support in _PART.iter_unpack(held[_HEAD.size :])
        )
        return Standing(ts, entity, _LEVELS[level], age_s, parts)

    def _number(self, text: str) -> int:
        """Return the number that stands for a reason; there are few, 65,535 at most are told apart."""
        number = self._numbers.get(text)
        if number is None:
            if len(self._texts) > 0xFFFF:
                return 0
            number = self._numbers[intern(text)] = len(self._texts)
            self._texts.append(text)
        return number


def _key(entity: Entity) -> str:
    return f"{entity.kind.value}:{entity.id}"
