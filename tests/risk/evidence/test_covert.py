"""Covert channels and shells by their form, beside the protocols that they hide in."""

from typing import Any

from sensors.values import ConnState, FlowEvent, Service

INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.9"


def _flow(traffic: Any, port: int, proto: int, lasts: float = 20, **fields: Any) -> None:
    traffic.begin(0, INSIDE, OUTSIDE, port, proto=proto)
    first = traffic.rows()["first"][0]
    end = {"state": ConnState.SF, "orig_flags": 27, "resp_flags": 27, "first": first, **fields}
    traffic.add(lasts, INSIDE, OUTSIDE, port, FlowEvent.END, proto=proto, last=first + round(lasts * 1e9), **end)


def test_time_that_weighs_too_much(world: Any, traffic: Any) -> None:
    _flow(traffic, 123, 17, orig_packets=40, resp_packets=40, orig_bytes=24_000, resp_bytes=20_000)
    world.see(traffic)
    assert world.reasons() == {"covert.time"}
    assert world.worst(INSIDE) >= 0.7


def test_a_clock_that_asks_all_day(world: Any, traffic: Any) -> None:
    _flow(traffic, 123, 17, orig_packets=900, resp_packets=900, orig_bytes=900 * 48, resp_bytes=900 * 48)
    world.see(traffic)
    assert world.findings == []


def test_bulk_over_the_port_of_names(world: Any, traffic: Any) -> None:
    _flow(traffic, 53, 6, 60, orig_packets=1500, resp_packets=700, orig_bytes=2_000_000, resp_bytes=5_000)
    world.see(traffic)
    assert world.reasons() == {"covert.names"}


def test_a_zone_transfer_comes_back(world: Any, traffic: Any) -> None:
    _flow(traffic, 53, 6, 60, orig_packets=300, resp_packets=1500, orig_bytes=5_000, resp_bytes=2_000_000)
    world.see(traffic)
    assert world.findings == []


def test_large_echoes_again_and_again(world: Any, traffic: Any) -> None:
    _flow(traffic, 0, 1, 200, orig_port=8, orig_packets=200, resp_packets=200, orig_bytes=280_000, resp_bytes=280_000)
    world.see(traffic)
    assert "covert.echoes" in world.reasons()


def test_an_hour_of_ping(world: Any, traffic: Any) -> None:
    _flow(
        traffic, 0, 1, 3600, orig_port=8, orig_packets=3600, resp_packets=3600, orig_bytes=201_600, resp_bytes=201_600
    )
    world.see(traffic)
    assert world.findings == []


def test_commands_come_in_and_text_goes_out(world: Any, traffic: Any) -> None:
    _flow(traffic, 4444, 6, orig_packets=30, resp_packets=20, orig_bytes=9_000, resp_bytes=300)
    world.see(traffic)
    assert world.reasons() == {"shell.reverse"}
    assert 0.3 <= world.worst(INSIDE) < 0.7


def test_the_same_form_in_a_known_protocol(world: Any, traffic: Any) -> None:
    sizes = {"orig_packets": 30, "resp_packets": 20, "orig_bytes": 9_000, "resp_bytes": 300}
    _flow(traffic, 4444, 6, service=Service.MQTT, **sizes)
    world.see(traffic)
    assert world.findings == []


def test_a_shell_that_waits_for_its_master(world: Any, traffic: Any) -> None:
    _flow(traffic, 31337, 6, orig_packets=20, resp_packets=30, orig_bytes=300, resp_bytes=9_000)
    world.see(traffic)
    assert world.reasons() == {"shell.bound"}


def test_a_database_asked_at_length(world: Any, traffic: Any) -> None:
    _flow(traffic, 6000, 6, orig_packets=20, resp_packets=30, orig_bytes=300, resp_bytes=9_000)
    world.see(traffic)
    assert world.findings == []
