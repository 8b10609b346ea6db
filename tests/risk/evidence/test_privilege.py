"""Privileges out of pattern, beside administrators at work."""

from typing import Any

from sensors.values import AuthOutcome, EntityKind, Kind

DAY, HOUR = 86400, 3600


def _use(at: float, user: str, service: str = "sshd", orig: str = "") -> dict[str, Any]:
    return {"at": at, "user": user, "service": service, "orig": orig, "outcome": AuthOutcome.SUCCESS, "count": 1}


def _weeks(user: str, service: str, orig: str = "") -> list[dict[str, Any]]:
    return [_use(day * DAY + hour * HOUR, user, service, orig) for day in range(10) for hour in (0, 4)]


def test_the_first_privileges_of_a_user_long_known(world: Any) -> None:
    world.read(Kind.AUTH, [*_weeks("ada", "sshd", "10.0.0.5"), _use(10 * DAY, "ada", "sudo")])
    assert world.reasons() == {"privilege.first"}
    assert 0.2 < world.worst("ada", EntityKind.USER) < 0.5


def test_privileges_at_an_hour_never_seen(world: Any) -> None:
    world.read(Kind.AUTH, [*_weeks("ops", "sudo"), _use(10 * DAY + 12 * HOUR, "ops", "sudo")])
    assert world.reasons() == {"privilege.hour"}


def test_root_from_a_place_never_seen(world: Any) -> None:
    world.read(Kind.AUTH, [*_weeks("root", "sshd", "10.0.0.5"), _use(10 * DAY, "root", "sshd", "10.0.0.77")])
    assert world.reasons() == {"privilege.root_login"}


def test_an_administrator_at_work(world: Any) -> None:
    world.read(Kind.AUTH, [*_weeks("ops", "sudo"), _use(10 * DAY + HOUR, "ops", "sudo"), _use(11 * DAY, "ops", "su")])
    assert world.findings == []


def test_a_new_user_has_no_habits_to_break(world: Any) -> None:
    world.read(
        Kind.AUTH, [_use(0, "new", "sshd", "10.0.0.5"), _use(HOUR, "new", "sudo"), _use(9 * HOUR, "new", "sudo")]
    )
    assert world.findings == []
