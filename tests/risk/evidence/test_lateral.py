"""Movement from host to host, beside administration."""

from typing import Any

FIRST, SECOND, DAY = "10.1.0.5", "10.1.0.6", 86400


def test_a_host_that_reaches_many_new_hosts(world: Any, traffic: Any) -> None:
    for step in range(10):
        traffic.talk(step * 20, FIRST, f"10.1.0.{20 + step}", 445, lasts=3)
    world.see(traffic)
    assert "lateral.fan" in world.reasons()
    assert world.worst(FIRST) >= 0.5


def test_a_host_that_is_reached_and_reaches_on(world: Any, traffic: Any) -> None:
    traffic.talk(0, FIRST, SECOND, 22, lasts=3)
    for step in range(3):
        traffic.talk(300 + step * 100, SECOND, f"10.1.0.{20 + step}", 22, lasts=3)
    world.see(traffic)
    assert world.reasons() == {"lateral.hop"}
    assert world.worst(SECOND) >= 0.4
    assert world.worst(FIRST) == 0


def test_the_daily_round_of_a_management_host_is_known_after_its_first_day(world: Any, traffic: Any) -> None:
    for day in range(5):
        for step in range(10):
            traffic.talk(day * DAY * 0.9 + step * 20, FIRST, f"10.1.0.{20 + step}", 22, lasts=3)
    found = world.see(traffic)
    assert found
    assert {int((each.evidence.ts - found[0].evidence.ts) / 1e9) < 600 for each in found} == {True}


def test_clients_of_one_file_server(world: Any, traffic: Any) -> None:
    for step in range(40):
        traffic.talk(step * 20, f"10.1.0.{20 + step}", SECOND, 445, lasts=3)
        traffic.talk(step * 20 + 5, SECOND, "10.1.0.2", 445, lasts=3)  # which asks its own store
    world.see(traffic)
    assert world.findings == []
