"""Behaviours over what one side asks of another, each with its innocent twin."""

from typing import Any

import pytest

from sensors.values import EntityKind, Kind

A, B, C = "10.0.0.5", "10.0.0.6", "10.0.0.7"


def _call(interface: str, code: int, at: float = 0, **fields: Any) -> dict[str, Any]:
    line = {
        "at": at,
        "orig": A,
        "resp": B,
        "resp_port": 49670,
        "protocol": "dcerpc",
        "object": interface,
        "name": "call",
    }
    return {**line, "code": code, "size": 60, **fields}


@pytest.mark.parametrize(
    ("interface", "code", "reason"),
    [
        ("svcctl", 12, "remote_call.service"), ("wbemservices", 24, "remote_call.wmi"),
        ("taskscheduler", 1, "remote_call.task"), ("winreg", 20, "remote_call.secrets"),
        ("backupkey", 0, "remote_call.backup_key"), ("eventlog6", 6, "remote_call.cleared"),
        ("efsrpc", 4, "remote_call.coerced"),
    ],
)  # fmt: skip
def test_one_call_that_acts_is_enough(world: Any, interface: str, code: int, reason: str) -> None:
    world.read(Kind.COMMAND, [_call(interface, code)])
    assert world.reasons() == {reason}
    assert world.worst(A) >= 0.7
    assert world.worst(B) == 0


@pytest.mark.parametrize(
    ("interface", "code"), [("svcctl", 15), ("svcctl", 6), ("wbemservices", 20), ("drsuapi", 12), ("epmapper", 3)]
)
def test_looking_is_not_acting(world: Any, interface: str, code: int) -> None:
    world.read(Kind.COMMAND, [_call(interface, code), _call(interface, code, 1)])
    assert world.findings == []


def test_a_replication_that_cracks_a_name_first_and_one_between_controllers(make_world: Any) -> None:
    taken, between = make_world(), make_world()
    taken.read(Kind.COMMAND, [_call("drsuapi", code, at) for at, code in enumerate((0, 16, 12, 0, 3))])
    between.read(Kind.COMMAND, [_call("drsuapi", code, at) for at, code in enumerate((0, 3, 3, 3))])
    assert taken.worst(A) >= 0.8
    assert between.worst(A) < 0.7


def test_a_replication_whose_beginning_was_not_seen(world: Any) -> None:
    world.read(Kind.COMMAND, [_call("", code, at) for at, code in enumerate((0, 16, 12, 0, 3, 1))])
    assert world.worst(A) >= 0.8


def test_methods_of_an_object_made_before(world: Any) -> None:
    activation = _call("activator", 4, 0, resp_port=135, size=800)
    world.read(Kind.COMMAND, [activation, _call("idispatch", 6, 1)])
    assert world.reasons() == {"remote_call.object"}


def test_methods_without_an_object_made_before(world: Any) -> None:
    world.read(Kind.COMMAND, [_call("epmapper", 3, 0, resp_port=135, size=130), _call("idispatch", 6, 1)])
    assert world.findings == []


def test_credentials_of_zeros_many_times_and_once(make_world: Any) -> None:
    few, many = make_world(), make_world()
    lines = [_call("netlogon", 26, at / 10, name="null credential") for at in range(30)]
    few.read(Kind.COMMAND, lines[:2])
    many.read(Kind.COMMAND, lines)
    assert (few.findings, many.worst(A) >= 0.9) == ([], True)


def test_members_of_groups_are_asked_for_and_a_login(make_world: Any) -> None:
    asked, login = make_world(), make_world()
    asked.read(Kind.COMMAND, [_call("samr", code, at / 10) for at, code in enumerate((6, 5, 7, 17, 19, 20, 25, 18))])
    login.read(Kind.COMMAND, [_call("samr", code, at / 10) for at, code in enumerate((6, 5, 7, 17, 34, 36, 39, 16))])
    assert asked.worst(A) >= 0.7
    assert login.findings == []


def test_shares_of_one_host_and_of_many(make_world: Any) -> None:
    one, many = make_world(), make_world()
    one.read(Kind.COMMAND, [_call("srvsvc", 15, at) for at in range(9)])
    many.read(Kind.COMMAND, [_call("srvsvc", 15, at, resp=f"10.0.1.{at}") for at in range(9)])
    assert one.worst(A) < 0.4
    assert many.worst(A) >= 0.7


def _order(orig: str, resp: str, name: str, at: float, code: int = 5, unit: str = "1") -> dict[str, Any]:
    return {
        "at": at, "orig": orig, "resp": resp, "resp_port": 502, "protocol": "modbus", "object": unit, "name": name,
        "code": code,
    }  # fmt: skip


def test_a_device_that_gives_orders(world: Any) -> None:
    world.read(Kind.COMMAND, [_order(A, B, "read", 0, 3), _order(A, C, "read", 1, 3), _order(B, C, "write", 2)])
    assert world.reasons() == {"industrial.turned"}
    assert world.worst(B) >= 0.7
    assert world.worst(A) == 0


def test_a_master_that_reads_and_writes(world: Any) -> None:
    world.read(Kind.COMMAND, [_order(A, B, "read", 0, 3), *(_order(A, B, "write", 1 + at) for at in range(20))])
    assert world.findings == []


def test_many_units_and_odd_functions(world: Any) -> None:
    world.read(Kind.COMMAND, [_order(A, B, "read", at / 10, 3, str(at)) for at in range(100)])
    world.read(Kind.COMMAND, [_order(C, B, "other", 20 + code, code) for code in (90, 91, 92, 93)])
    assert world.reasons() == {"industrial.units", "industrial.odd"}
    assert world.worst(A) >= 0.7
    assert world.worst(C) >= 0.7


def _arp(orig: str, card: str, at: float, resp: str = "10.0.0.1", name: str = "reply") -> dict[str, Any]:
    return {"at": at, "orig": orig, "resp": resp, "protocol": "arp", "object": card, "name": name}


TRUE, FALSE, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:0f", "02:00:00:00:00:02"


def test_an_address_that_two_cards_claim_in_turn(world: Any) -> None:
    lines = [_arp(A, FALSE, 0), _arp(B, OTHER, 0)]
    lines += [_arp("10.0.0.1", (TRUE, FALSE)[at % 2], 1 + at, B) for at in range(10)]
    world.read(Kind.COMMAND, lines)
    assert world.reasons() == {"neighbours.claimed"}
    assert world.worst(A) >= 0.7


def test_a_card_without_an_address_of_its_own_is_named_itself(world: Any) -> None:
    lines = [_arp(address, (TRUE, FALSE)[at % 2], at) for at in range(10) for address in ("10.0.0.1", B)]
    world.read(Kind.COMMAND, lines)
    assert max(world.worst(TRUE, EntityKind.DEVICE), world.worst(FALSE, EntityKind.DEVICE)) >= 0.7


def test_an_address_that_moves_once_or_is_virtual(world: Any) -> None:
    world.read(Kind.COMMAND, [_arp(A, TRUE, 0), _arp(A, OTHER, 5), _arp(A, OTHER, 6)])
    world.read(Kind.COMMAND, [_arp(B, (TRUE, "00:00:5e:00:01:07")[at % 2], 10 + at) for at in range(9)])
    assert world.findings == []


def test_a_search_for_neighbours_and_a_few_questions(make_world: Any) -> None:
    search, few = make_world(), make_world()
    search.read(Kind.COMMAND, [_arp(A, TRUE, at / 20, f"10.0.1.{at}", "request") for at in range(250)])
    few.read(Kind.COMMAND, [_arp(A, TRUE, at, f"10.0.1.{at % 20}", "request") for at in range(100)])
    assert search.reasons() == {"neighbours.sought"}
    assert search.worst(A) >= 0.8
    assert few.findings == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"protocol": "tls", "name": "heartbeat", "code": 16384, "size": 3}, "exploit.heartbeat"),
        ({"protocol": "imap", "name": "FETCH", "size": 900}, "exploit.overlong"),
        ({"protocol": "smtp", "name": "EXPN", "object": "garbled"}, "exploit.garbled"),
        ({"protocol": "dns", "name": "answer", "code": 24, "size": 65500}, "exploit.signature"),
        ({"protocol": "smb", "name": "compressed", "code": 0xFFFFFFFF}, "exploit.compressed"),
        ({"protocol": "tls", "name": "heartbeat", "code": 16, "size": 35}, ""),
        ({"protocol": "imap", "name": "LOGIN", "size": 900}, ""),
        ({"protocol": "imap", "name": "FETCH", "size": 90}, ""),
        ({"protocol": "dns", "name": "answer", "code": 252, "size": 65500}, ""),
        ({"protocol": "smb", "name": "compressed", "code": 64}, ""),
    ],
)
def test_messages_that_make_programs_fail(world: Any, line: dict[str, Any], reason: str) -> None:
    world.read(Kind.COMMAND, [{"at": 0, "orig": A, "resp": B, **line}])
    assert world.reasons() == ({reason} if reason else set())
    assert not reason or world.worst(A) >= 0.7


def test_findings_do_not_depend_on_batches(make_world: Any) -> None:
    lines = [_call("samr", code, at / 10) for at, code in enumerate((6, 5, 7, 17, 19, 20, 25, 18))]
    lines += [_order(A, B, "read", 2, 3), _order(B, C, "write", 3)]
    whole, pieces = make_world(), make_world()
    whole.read(Kind.COMMAND, lines)
    for line in lines:
        pieces.read(Kind.COMMAND, [line])
    assert [each.evidence.reason for each in whole.findings] == [each.evidence.reason for each in pieces.findings]


def test_frames_that_name_another_card_than_the_one_that_sent_them(make_world: Any) -> None:
    forged, once = make_world(), make_world()
    forged.read(Kind.COMMAND, [{**_arp(A, FALSE, at), "size": 1} for at in range(3)])
    once.read(Kind.COMMAND, [{**_arp(A, FALSE, 0), "size": 1}, _arp(A, FALSE, 1)])
    assert forged.reasons() == {"neighbours.forged"}
    assert forged.worst(A) >= 0.7
    assert once.findings == []


def test_shares_and_the_server_asked_for_together(make_world: Any) -> None:
    together, list_only, details_only = make_world(), make_world(), make_world()
    together.read(Kind.COMMAND, [_call("srvsvc", 15), _call("srvsvc", 21, 1)])
    list_only.read(Kind.COMMAND, [_call("srvsvc", 15), _call("srvsvc", 15, 1)])
    details_only.read(Kind.COMMAND, [_call("srvsvc", 21, at) for at in range(5)])
    assert 0.5 < together.worst(A) < 0.7  # a person who opens a server in the file manager does the same
    assert list_only.worst(A) < 0.4
    assert details_only.findings == []
