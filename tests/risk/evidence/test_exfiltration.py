"""Data that leaves, beside habits of sending."""

from typing import Any

INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.9"
DAY = 86400


def test_much_more_than_ever_to_one_outside_address(world: Any, traffic: Any) -> None:
    for step in range(100):
        traffic.talk(step * 20 + step * step % 17, INSIDE, OUTSIDE, 443, out=2_000_000, back=4_000, lasts=5)
    world.see(traffic)
    assert "exfiltration.volume" in world.reasons()
    assert 0.25 <= world.worst(INSIDE) < 0.7  # alone it denies nothing


def test_small_portions_around_the_clock(world: Any, traffic: Any) -> None:
    for step in range(1440):
        traffic.talk(step * 60 + step % 7, INSIDE, OUTSIDE, 443, out=100_000, back=2_000, lasts=5)
    world.see(traffic)
    assert "exfiltration.slow" in world.reasons()


def test_downloads_and_what_stays_inside(world: Any, traffic: Any) -> None:
    for step in range(100):
        traffic.talk(step * 20, INSIDE, OUTSIDE, 443, out=20_000, back=4_000_000, lasts=5)
        traffic.talk(step * 20 + 7, INSIDE, "10.1.2.4", 445, out=4_000_000, back=4_000, lasts=5)
    world.see(traffic)
    assert not {reason for reason in world.reasons() if reason.startswith("exfiltration")}


def test_the_nightly_backup_is_a_habit_from_the_second_night(world: Any, traffic: Any) -> None:
    for night in range(4):
        for step in range(60):
            at = night * DAY + step * 20 + step * step % 17
            traffic.talk(at, INSIDE, OUTSIDE, 443, out=1_000_000, back=4_000, lasts=5)
    found = world.see(traffic)
    told = {int((each.evidence.ts - found[0].evidence.ts) / 1e9 // DAY) for each in found}
    assert told == {0}
