"""Who may have connections closed, how often, and that it is told first."""

from dataclasses import dataclass, field

import pytest

from response.closing import Closing
from response.errors import ActuatorError, RefusedError
from response.guards import NeverList, protect
from response.settings import ResponseSettings
from sensors.values import Entity, EntityKind

HOUR = 3_600_000_000_000
TARGET = Entity(EntityKind.IP, "192.0.2.7")


@dataclass
class Memory:
    """A closer that only remembers."""

    name: str = "memory"
    closed: list[Entity] = field(default_factory=list)
    broken: Exception | None = None
    told: list[str] = field(default_factory=list)
    told_then: list[tuple[str, ...]] = field(default_factory=list)

    def close(self, target: Entity) -> int:
        self.told_then.append(tuple(self.told))
        if self.broken is not None:
            raise self.broken
        self.closed.append(target)
        return 2


def close(memory: Memory, entity: Entity = TARGET, mode: str = "enforce", *, closing: Closing | None = None) -> int:
    settings = ResponseSettings(mode=mode, max_actions_per_hour=2)  # type: ignore[arg-type]  # one of two literals
    never = NeverList(protect(["198.51.100.0/24"], "it is on the never-block list"))
    return (closing or Closing(settings, [memory], never)).close(entity, HOUR, memory.told.append)


def test_connections_are_closed_after_that_was_told() -> None:
    memory = Memory()
    assert close(memory, Entity(EntityKind.IP, "::ffff:192.0.2.7")) == 2
    assert (memory.closed, memory.told_then) == ([TARGET], [("closing",)])


def test_in_observe_nothing_is_closed() -> None:
    memory = Memory()
    assert close(memory, mode="observe") == 0
    assert (memory.closed, memory.told) == ([], ["observed"])


@pytest.mark.parametrize(
    ("entity", "code"),
    [
        (Entity(EntityKind.IP, "198.51.100.9"), "guard.never"),
        (Entity(EntityKind.IP, "127.0.0.1"), "guard.never"),
        (Entity(EntityKind.IP, "192.0.2.0/24"), "guard.not-an-address"),
        (Entity(EntityKind.USER, "alice"), "guard.not-an-address"),
    ],
)
def test_nobody_else_is_touched(entity: Entity, code: str) -> None:
    memory = Memory()
    assert close(memory, entity) == 0
    assert (memory.closed, memory.told) == ([], [code])


def test_an_hour_has_its_bound() -> None:
    memory = Memory()
    settings = ResponseSettings(mode="enforce", max_actions_per_hour=2)
    closing = Closing(settings, [memory], NeverList(()))
    assert [close(memory, closing=closing) for _ in range(3)] == [2, 2, 0]
    assert memory.told == ["closing", "closing", "guard.budget"]
    assert closing.close(TARGET, 3 * HOUR, memory.told.append) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(ActuatorError("gone"), "response.actuator"), (RefusedError("guard.observe", "no"), "guard.observe")],
)
def test_a_means_that_fails_is_told_and_the_others_go_on(error: Exception, code: str) -> None:
    broken, well = Memory(broken=error), Memory()
    closing = Closing(ResponseSettings(mode="enforce"), [broken, well], NeverList(()))
    assert closing.close(TARGET, HOUR, broken.told.append) == 2
    assert broken.told == ["closing", code]
