"""The data on services load, their expressions are sound, and each service is shown by a vector."""

import json
from pathlib import Path

import pytest

from sensors.logs.patterns import Pattern
from sensors.logs.rules import RuleSet
from sensors.logs.services import CLIENT, JsonService, Service, _json_service, _service, json_services, services

VECTORS = Path(__file__).parents[2] / "vectors" / "logs"
SHOWN = {
    row.get("service") or row.get("category")
    for path in VECTORS.rglob("*.expected.json")
    for row in json.loads(path.read_text())["rows"]
    if row["kind"] in ("auth", "alert")
}


def test_names_are_given_once() -> None:
    assert len({service.name for service in services()}) == len(services())
    programs = [program for service in services() for program in service.programs]
    assert sorted(set(programs)) == sorted(programs)
    assert all(program == program.lower() for program in programs)


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_a_text_service_is_sound(service: Service) -> None:
    assert service.rules and (service.programs or service.shapes)
    RuleSet(service.rules)
    for rule in service.rules:
        names = Pattern(rule.expression).names
        assert set(names) <= {"orig", "user", "method", "count", "session"}
        assert "orig" in names or "session" in names


@pytest.mark.parametrize("service", json_services(), ids=lambda service: service.name)
def test_a_json_service_is_sound(service: JsonService) -> None:
    assert service.has and service.time and service.rules
    for rule in service.rules:
        names = [name for _, expression in rule.expressions for name in Pattern(expression).names]
        others = {"signature", "category", "resp", "severity"} if rule.outcome is None else {"user", "method"}
        assert "orig" in names and set(names) <= {"orig", *others}


def test_each_service_has_a_vector() -> None:
    assert {service.name for service in services()} | {service.name for service in json_services()} <= SHOWN


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (b"192.0.2.1", b"192.0.2.1"),
        (b"192.0.2.1:80", b"192.0.2.1"),
        (b"192.0.2.1#53", b"192.0.2.1"),
        (b"[192.0.2.1]:80", b"192.0.2.1"),
        (b"2001:db8::9", b"2001:db8::9"),
        (b"[2001:db8::9]:80", b"2001:db8::9"),
        (b"::ffff:192.0.2.1: x", b"::ffff:192.0.2.1"),
        (b"2001:db8:0:0:0:0:0:9", b"2001:db8:0:0:0:0:0:9"),
        (b"fe80::1%eth0", b"fe80::1"),
        (b"::1", b"::1"),
    ],
)
def test_clients_in_their_spellings(text: bytes, address: bytes) -> None:
    assert Pattern(f"^{CLIENT}").groups(text) == (address,)


def test_times_are_not_addresses() -> None:
    assert Pattern(CLIENT).groups(b"2026-11-04 10:00:01.123 [77] x") is None


def test_mistakes_in_the_data_are_told() -> None:
    with pytest.raises(ValueError, match="unknown keys"):
        _service("x", {"failures": []})
    with pytest.raises(ValueError, match="texts"):
        _service("x", {"failure": [1]})
    with pytest.raises(ValueError, match="unknown keys"):
        _json_service("x", {"has": ["a"], "time": "t", "fail": []})
