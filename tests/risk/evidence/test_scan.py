"""Scans, and what looks like them."""

from typing import Any

A, B = "192.0.2.7", "198.51.100.9"


def test_a_scan_of_hundreds_of_ports_is_critical_and_told_a_handful_of_times(world: Any, traffic: Any) -> None:
    for port in range(1, 601):
        traffic.refused(port * 0.01, A, B, port)
    world.see(traffic)
    assert world.worst(A) >= 0.8
    assert world.worst(B) == 0.0
    assert world.reasons() == {"scan.vertical"}
    assert len(world.findings) < 20


def test_a_scan_without_any_answer_is_seen_from_its_first_packets(world: Any, traffic: Any) -> None:
    for port in range(1, 301):
        traffic.begin(port * 0.02, A, B, port)
    world.see(traffic)
    assert world.worst(A) >= 0.8


def test_null_and_xmas_scans_need_no_syn(make_world: Any, make_traffic: Any) -> None:
    for flags in (0, 41):
        world, traffic = make_world(), make_traffic()
        for port in range(1, 200):
            traffic.begin(port * 0.01, A, B, port, orig_flags=flags)
        world.see(traffic)
        assert world.worst(A) >= 0.8, flags


def test_many_answered_ports_are_use(world: Any, traffic: Any) -> None:
    for step in range(120):  # a passive FTP client: a new high port for each file
        traffic.talk(step, A, B, 30000 + step)
    world.see(traffic)
    assert world.worst(A) == 0.0


def test_a_reply_seen_from_the_middle_is_no_scan(world: Any, traffic: Any) -> None:
    for step in range(300):  # a web server whose clients' requests were not captured
        traffic.begin(step * 0.02, B, A, 20000 + step, orig_port=443, orig_flags=18)
        traffic.begin(step * 0.02, B, A, 20000 + step, orig_port=53, orig_flags=0, proto=17)
    world.see(traffic)
    assert world.findings == []


def test_a_sweep_of_one_port(world: Any, traffic: Any) -> None:
    for host in range(1, 60):
        traffic.begin(host * 0.5, A, f"198.51.100.{host}", 23)
    world.see(traffic)
    assert world.worst(A) >= 0.8
    assert world.reasons() == {"scan.horizontal"}


def test_a_browser_that_opens_many_sites_is_no_sweep(world: Any, traffic: Any) -> None:
    for host in range(1, 100):
        traffic.talk(host * 0.1, A, f"198.51.100.{host}", 443, lasts=60)
    world.see(traffic)
    assert world.findings == []


def test_a_ping_sweep(world: Any, traffic: Any) -> None:
    for host in range(1, 40):
        traffic.begin(host * 0.05, A, f"198.51.100.{host}", 0, proto=1, orig_port=8, orig_flags=0)
    world.see(traffic)
    assert world.worst(A) >= 0.8
    assert world.reasons() == {"scan.ping"}


def test_icmp_errors_are_not_held_against_who_sends_them(world: Any, traffic: Any) -> None:
    for host in range(1, 200):
        traffic.begin(host * 0.05, B, f"192.0.2.{host}", 3, proto=1, orig_port=3, orig_flags=0)
    world.see(traffic)
    assert world.findings == []


def test_a_slow_scan(world: Any, traffic: Any) -> None:
    for step in range(60):  # one target a minute: no window of ten minutes holds more than ten
        traffic.refused(step * 60.0, A, f"198.51.{step}.9", 1000 + step)
    world.see(traffic)
    assert "scan.slow" in world.reasons()
    assert 0.4 <= world.worst(A) < 0.8


def test_multicast_and_traceroute_are_no_scan(world: Any, traffic: Any) -> None:
    for step in range(100):
        traffic.begin(step * 0.1, A, B, 33434 + step, proto=17, orig_flags=0)
        traffic.begin(step * 0.1, A, f"239.1.1.{step}", 1900, proto=17, orig_flags=0)
    world.see(traffic)
    assert world.findings == []


def test_a_dozen_ports_in_vain_within_a_second(world: Any, traffic: Any) -> None:
    for step in range(16):
        traffic.refused(step * 0.02, "192.0.2.7", "198.51.100.9", 20 + step)
    world.see(traffic)
    assert world.worst("192.0.2.7") >= 0.7


def test_a_client_that_looks_for_a_service_on_its_usual_ports(world: Any, traffic: Any) -> None:
    for step, port in enumerate((443, 8443, 9443, 80, 8080, 8000)):
        traffic.refused(step * 2, "192.0.2.7", "198.51.100.9", port)
    world.see(traffic)
    assert world.worst("192.0.2.7") < 0.4
