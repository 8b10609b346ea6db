"""Field devices that talk beside the protocol they are there for."""

from typing import Any

MASTER, FIRST, SECOND = "10.3.0.1", "10.3.0.11", "10.3.0.12"


def _polls(traffic: Any) -> None:
    for step in range(20):
        traffic.talk(step * 2, MASTER, (FIRST, SECOND)[step % 2], 502, out=12, back=20, lasts=0.1)


def test_two_devices_that_talk_by_a_protocol_of_no_plant(world: Any, traffic: Any) -> None:
    _polls(traffic)
    traffic.talk(50, FIRST, SECOND, 4444, out=70_000, back=1_000, lasts=5)
    world.see(traffic)
    assert "industrial.strayed" in world.reasons()
    assert world.worst(FIRST) >= 0.7
    assert world.worst(SECOND) < 0.4


def test_a_master_that_does_other_things_and_devices_that_keep_to_plants(world: Any, traffic: Any) -> None:
    _polls(traffic)
    traffic.talk(50, MASTER, FIRST, 4444, lasts=5)
    traffic.talk(60, FIRST, SECOND, 44818, lasts=5)
    traffic.talk(70, FIRST, MASTER, 123, lasts=5)
    world.see(traffic)
    assert "industrial.strayed" not in world.reasons()
