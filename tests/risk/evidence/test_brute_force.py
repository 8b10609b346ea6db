"""Guessing of passwords, and people who mistype."""

from typing import Any

from sensors.values import AuthOutcome, EntityKind, Kind

A, B = "192.0.2.7", "198.51.100.9"
FAILURE, SUCCESS, INVALID, PROBE = AuthOutcome.FAILURE, AuthOutcome.SUCCESS, AuthOutcome.INVALID_USER, AuthOutcome.PROBE


def _lines(number: int, step: float, outcome: int = FAILURE, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"at": place * step, "orig": A, "user": "root", "outcome": outcome, "count": 1, **fields}
        for place in range(number)
    ]


def test_twenty_failures_in_a_minute_are_critical(world: Any) -> None:
    world.read(Kind.AUTH, _lines(20, 3))
    assert world.worst(A) >= 0.8
    assert {"auth.failure", "brute_force.password"} <= world.reasons()


def test_every_failed_line_is_evidence_with_its_line_and_count(world: Any) -> None:
    found = world.read(Kind.AUTH, _lines(3, 30, count=2))
    single = [each.evidence for each in found if each.evidence.reason == "auth.failure"]
    assert [(each.seq, each.count) for each in single] == [(1, 2), (2, 2), (3, 2)]


def test_a_person_who_mistypes_stays_low(world: Any) -> None:
    world.read(Kind.AUTH, [*_lines(3, 5), {"at": 20, "orig": A, "user": "root", "outcome": SUCCESS, "count": 1}])
    assert 0 < world.worst(A) < 0.4


def test_success_after_many_failures_is_told_of_source_and_user(world: Any) -> None:
    world.read(Kind.AUTH, [*_lines(12, 2), {"at": 30, "orig": A, "user": "root", "outcome": SUCCESS, "count": 1}])
    assert {"brute_force.success", "brute_force.taken_over"} <= world.reasons()
    assert 0.4 <= world.worst("root", EntityKind.USER) < 0.8


def test_users_that_do_not_exist(world: Any) -> None:
    world.read(Kind.AUTH, [line | {"user": f"u{n}"} for n, line in enumerate(_lines(9, 4, INVALID))])
    assert "brute_force.enumeration" in world.reasons()
    assert world.worst(A) >= 0.8


def test_spraying_one_password_over_users(world: Any) -> None:
    world.read(Kind.AUTH, [line | {"user": f"u{n}"} for n, line in enumerate(_lines(8, 60))])
    assert "brute_force.spraying" in world.reasons()


def test_one_user_from_many_sources_blames_the_sources_lightly(world: Any) -> None:
    world.read(Kind.AUTH, [line | {"orig": f"192.0.2.{n}"} for n, line in enumerate(_lines(12, 10), 1)])
    assert "brute_force.distributed" in world.reasons()
    assert 0 < world.worst("192.0.2.12") < 0.4
    assert world.worst("root", EntityKind.USER) == 0.0


def test_without_a_client_the_user_is_meant(world: Any) -> None:
    world.read(Kind.AUTH, _lines(2, 1, orig="", service="sudo"))
    assert world.worst("root", EntityKind.USER) > 0


def test_a_host_name_is_a_host(world: Any) -> None:
    world.read(Kind.AUTH, _lines(2, 1, orig="gw.example.net"))
    assert world.worst("gw.example.net", EntityKind.HOST) > 0


def test_probes_are_weak(world: Any) -> None:
    world.read(Kind.AUTH, _lines(30, 1, PROBE, user=""))
    assert 0 < world.worst(A) < 0.4


def test_guessing_shows_in_flows(world: Any, traffic: Any) -> None:
    for step in range(40):
        traffic.talk(step * 1.5, A, B, 22, out=1700 + step % 5, back=1800)
    world.see(traffic)
    assert world.worst(A) >= 0.8
    assert "brute_force.logins" in world.reasons()


def test_long_sessions_are_work(world: Any, traffic: Any) -> None:
    for step in range(40):
        traffic.talk(step * step / 3, A, B, 22, out=40_000 * (1 + step % 7), back=90_000, lasts=200)
    world.see(traffic)
    assert world.findings == []


def test_a_program_without_a_pool_of_connections_is_no_intruder(world: Any, traffic: Any) -> None:
    for step in range(600):
        traffic.talk(step * 0.1, A, B, 6379, out=200, back=300, lasts=0.01)
    world.see(traffic)
    assert world.worst(A) < 0.6


def test_lines_that_tell_an_attempt_again_are_shown_but_add_nothing(world: Any) -> None:
    lines = [line | {"count": place % 3 == 0} for place, line in enumerate(_lines(12, 20))]
    found = world.read(Kind.AUTH, lines)
    assert [each.evidence.seq for each in found if each.evidence.reason == "auth.failure"] == list(range(1, 13))
    assert "brute_force.password" not in world.reasons()
    assert 0 < world.worst(A) < 0.4


def test_a_client_that_offers_its_keys_one_by_one(world: Any) -> None:
    world.read(Kind.AUTH, _lines(12, 0.1, method="publickey"))
    assert "brute_force.password" not in world.reasons()


def test_sources_in_great_number_are_each_told_once(world: Any) -> None:
    lines = [line | {"orig": f"198.18.{n // 200 % 2}.{n % 200}"} for n, line in enumerate(_lines(4000, 0.02))]
    found = world.read(Kind.AUTH, lines)
    assert len([each for each in found if each.evidence.reason == "brute_force.distributed"]) <= 2 * 400


def test_a_stolen_list_of_names_and_passwords(world: Any) -> None:
    lines = _lines(30, 4)
    for place, line in enumerate(lines):
        line |= {"user": f"person{place}", "outcome": SUCCESS if place == 20 else FAILURE}
    world.read(Kind.AUTH, lines)
    assert "brute_force.stuffing" in world.reasons()
    assert world.worst(A) >= 0.8


def test_an_office_behind_one_address_gets_in(world: Any) -> None:
    lines = _lines(60, 10, SUCCESS)
    for place, line in enumerate(lines):
        line |= {"user": f"person{place % 30}", "outcome": FAILURE if place % 6 == 0 else SUCCESS}
    world.read(Kind.AUTH, lines)
    assert "brute_force.stuffing" not in world.reasons()
