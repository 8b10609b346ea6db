"""Requests that never end, beside connections that merely rest."""

from typing import Any

from sensors.values import ConnState, FlowEvent, Kind

A, B = "192.0.2.7", "198.51.100.9"


def _linger(traffic: Any, step: int, lasts: float, back: int) -> None:
    at = step * 0.2
    traffic.begin(at, A, B, 80, orig_port=2000 + step)
    first = traffic.rows()["first"][0] + round(at * 1e9)
    traffic.add(
        at + lasts, A, B, 80, FlowEvent.END, orig_port=2000 + step, state=ConnState.S1, orig_flags=27, resp_flags=27,
        orig_packets=6, resp_packets=5, orig_bytes=230, resp_bytes=back, first=first, last=first + round(lasts * 1e9),
    )  # fmt: skip


def test_many_connections_that_say_nothing(world: Any, traffic: Any) -> None:
    for step in range(150):
        _linger(traffic, step, 30, 0)
    world.see(traffic)
    assert "slow_requests.held" in world.reasons()
    assert world.worst(A) >= 0.8
    assert world.worst(B) == 0


def test_connections_that_rest_after_their_answers(world: Any, traffic: Any) -> None:
    for step in range(150):
        _linger(traffic, step, 30, 40_000)
    world.see(traffic)
    assert "slow_requests.held" not in world.reasons()


def test_a_browser_with_six_idle_connections(world: Any, traffic: Any) -> None:
    for step in range(6):
        _linger(traffic, step, 60, 0)
    world.see(traffic)
    assert world.findings == []


def test_timeouts_in_the_servers_log(world: Any) -> None:
    world.read(Kind.HTTP, [{"at": n * 0.5, "orig": A, "method": "", "path": "", "status": 408} for n in range(60)])
    assert world.reasons() == {"slow_requests.logged"}
    assert world.worst(A) >= 0.7


def test_a_few_timeouts_of_a_bad_line(world: Any) -> None:
    world.read(Kind.HTTP, [{"at": n * 30, "orig": A, "path": "/", "status": 408} for n in range(60)])
    assert world.findings == []
