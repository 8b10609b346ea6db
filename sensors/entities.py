"""Whom observations, risks and decisions are about. Imports nothing heavy: the gate lives on it."""

from dataclasses import dataclass
from enum import StrEnum


class EntityKind(StrEnum):
    """What an entity is. `HOST` is a name that a log gives where others give an address."""

    IP = "ip"
    HOST = "host"
    SUBNET = "subnet"
    USER = "user"
    DEVICE = "device"
    SESSION = "session"
    WORKLOAD = "workload"


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """Somebody or something that can carry risk. `id` is normalised: see `sensors.addresses`."""

    kind: EntityKind
    id: str

    def __str__(self) -> str:
        return self.id
