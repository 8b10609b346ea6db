"""Users where they never were, beside users with a phone and a train."""

from typing import Any

import pytest

from risk.evidence import travel
from sensors.values import AuthOutcome, EntityKind, Kind

HOME, ABROAD = "8.8.8.8", "193.0.0.1"
MINUTE, DAY = 60, 86400


def _login(at: float, orig: str, user: str = "ada") -> dict[str, Any]:
    return {"at": at, "orig": orig, "user": user, "service": "sshd", "outcome": AuthOutcome.SUCCESS, "count": 1}


def _habits() -> list[dict[str, Any]]:
    return [_login(day * DAY, HOME) for day in range(6)]


def _abroad(address: str) -> str:
    return {"8": "US", "1": "NL"}.get(address[0], "")


def test_two_countries_within_minutes(world: Any) -> None:
    world.engine.locate(_abroad)
    world.read(Kind.AUTH, [_login(0, HOME), _login(20 * MINUTE, ABROAD)])
    assert world.reasons() == {"travel.impossible"}
    assert world.worst("ada", EntityKind.USER) >= 0.7
    assert world.worst(ABROAD) >= 0.7
    assert world.worst(HOME) == 0


def test_a_journey_that_takes_its_time(world: Any) -> None:
    world.engine.locate(_abroad)
    world.read(Kind.AUTH, [*_habits(), _login(5 * DAY + 12 * 3600, ABROAD)])
    assert world.reasons() == {"travel.new_country"}
    assert world.worst("ada", EntityKind.USER) <= 0.4


def test_two_networks_at_once_where_no_country_is_known(world: Any) -> None:
    world.read(Kind.AUTH, [_login(0, HOME), _login(20, ABROAD)])
    assert world.reasons() == {"travel.at_once"}
    assert world.worst("ada", EntityKind.USER) < 0.5


def test_a_new_device_and_a_new_network_are_small_things(world: Any) -> None:
    asked = [
        {"at": day * DAY, "orig": HOME, "user": "ada", "method": "GET", "path": "/", "status": 200, "agent": "Fox/1"}
        for day in range(6)
    ]
    world.read(Kind.HTTP, [*asked, {**asked[0], "at": 7 * DAY, "orig": ABROAD, "agent": "Fox/2"}])
    assert world.reasons() == {"travel.new_device", "travel.new_network"}
    assert world.worst("ada", EntityKind.USER) < 0.4


def test_another_address_of_the_same_network_and_the_inside_are_no_journeys(world: Any) -> None:
    world.read(Kind.AUTH, [*_habits(), _login(5 * DAY + 20, "8.8.4.4"), _login(5 * DAY + 40, "10.0.0.1")])
    assert world.findings == []


def test_who_fails_to_log_in_was_not_there(world: Any) -> None:
    failed = {**_login(20, ABROAD), "outcome": AuthOutcome.FAILURE}
    world.read(Kind.AUTH, [_login(0, HOME), failed])
    assert not {reason for reason in world.reasons() if reason.startswith("travel")}


@pytest.mark.parametrize(
    ("address", "network"),
    [("8.8.8.8", "8.8.0.0/16"), ("2001:db8::1", ""), ("2a00:1450::5", "2a00:1450::/32"), ("10.0.0.1", ""), ("x", "")],
)
def test_networks(address: str, network: str) -> None:
    assert travel.network_of(address) == network
