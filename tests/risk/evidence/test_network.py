"""Floods, beacons, tunnels and foreign alerts, each beside its innocent twin."""

import hashlib
from typing import Any

from sensors.values import ConnState, FlowEvent, Kind

A, B = "192.0.2.7", "198.51.100.9"
INSIDE = "10.1.2.3"


def test_a_syn_flood_from_one_source(world: Any, traffic: Any) -> None:
    for step in range(4000):
        traffic.begin(step * 0.001, A, B, 80, orig_port=1024 + step)
    world.see(traffic)
    assert world.worst(A) >= 0.8
    assert "flood.syn" in world.reasons()


def test_a_busy_client_is_no_flood(world: Any, traffic: Any) -> None:
    for step in range(3000):
        traffic.talk(step * 0.01, A, B, 80, lasts=0.05)
    world.see(traffic)
    assert world.findings == []


def test_a_flood_from_very_many_sources_blames_none(world: Any, traffic: Any) -> None:
    for step in range(3000):
        traffic.begin(step * 0.001, f"192.{step % 100}.{step % 256}.{step % 200 + 1}", B, 80)
    world.see(traffic)
    assert world.findings == []


def test_a_packet_flood_in_one_flow(world: Any, traffic: Any) -> None:
    for step in range(100):
        traffic.add(step * 0.05, A, B, 9, FlowEvent.UPDATE, proto=17, orig_packets=1000 * step, new_orig_packets=1000)
    world.see(traffic)
    assert world.worst(A) >= 0.8
    assert world.reasons() == {"flood.packets"}


def test_a_download_is_no_flood(world: Any, traffic: Any) -> None:
    for step in range(100):
        traffic.add(step * 0.05, A, B, 443, FlowEvent.UPDATE, new_orig_packets=650, new_resp_packets=350)
    world.see(traffic)
    assert world.findings == []


def test_a_beacon_is_weak_evidence(world: Any, traffic: Any) -> None:
    for step in range(60):
        traffic.talk(step * 30 + 0.3 * (step % 3), INSIDE, B, 8081)
    world.see(traffic)
    assert world.reasons() == {"beacon.regular"}
    assert 0 < world.worst(INSIDE) < 0.4


def test_people_and_time_servers_are_no_beacons(world: Any, traffic: Any) -> None:
    gaps = [int(hashlib.sha256(bytes([n])).hexdigest()[:3], 16) / 40 for n in range(60)]
    for step in range(60):
        traffic.talk(sum(gaps[: step + 1]), INSIDE, B, 443)
        traffic.talk(step * 64, INSIDE, "198.51.100.10", 123)
        traffic.talk(step * 15, INSIDE, "10.1.2.9", 9100)
    world.see(traffic)
    assert world.findings == []


def test_a_call_home_that_is_refused_without_end(world: Any, traffic: Any) -> None:
    for step in range(400):
        traffic.refused(step * 0.7, INSIDE, B, 5888)
    world.see(traffic)
    assert world.reasons() == {"beacon.refused"}
    assert 0.4 <= world.worst(INSIDE) < 0.8


def test_names_that_carry_data(world: Any) -> None:
    names = [hashlib.sha256(bytes([n])).hexdigest()[:50] + ".t.example.net" for n in range(120)]
    lines = [{"at": n * 0.5, "orig": A, "query": name, "qtype": 16, "rcode": 0} for n, name in enumerate(names)]
    world.read(Kind.DNS, lines)
    assert world.worst(A) >= 0.8
    assert world.reasons() == {"dns_tunnel.volume"}


def test_ordinary_names_carry_nothing(world: Any) -> None:
    hosts = [f"{word}.example.net" for word in ("www", "mail", "cdn", "api", "img", "static", "login", "shop", "m")]
    reverse = [f"{n}.2.0.192.in-addr.arpa" for n in range(200)]
    cloud = [f"d{n:012x}.cloudfront.example" for n in range(12)]
    names = [*hosts * 20, *reverse, *cloud]
    world.read(Kind.DNS, [{"at": n, "orig": A, "query": name, "rcode": 0} for n, name in enumerate(names)])
    assert world.findings == []


def test_generated_domains(world: Any) -> None:
    names = [hashlib.sha256(bytes([n])).hexdigest()[:16].translate(str.maketrans("ae", "kx")) for n in range(60)]
    lines = [{"at": n, "orig": A, "query": f"{name}.com", "rcode": 3} for n, name in enumerate(names)]
    world.read(Kind.DNS, lines)
    assert world.reasons() == {"dns_tunnel.generated"}
    assert world.worst(A) < 0.8


def test_echoes_that_carry_a_conversation(make_world: Any, make_traffic: Any) -> None:
    for back, guilty in ((68_000, True), (72_000, False)):
        world, traffic = make_world(), make_traffic()
        traffic.add(
            0, A, B, 0, FlowEvent.END, proto=1, orig_port=8, state=ConnState.SF, orig_packets=370, resp_packets=370,
            orig_bytes=72_000, resp_bytes=back,
        )  # fmt: skip
        world.see(traffic)
        assert (world.reasons() == {"icmp_tunnel.uneven"}) is guilty


def test_alerts_weigh_by_severity_and_never_deny_alone(make_world: Any) -> None:
    worst = []
    for severity in (3, 2, 1):
        world = make_world()
        line = {"orig": A, "resp": B, "signature": "made up", "category": "Trojan", "severity": severity}
        world.read(Kind.ALERT, [line])
        worst.append(world.worst(A))
    assert worst == sorted(worst)
    assert worst[-1] < 0.8


def test_notes_of_a_decoder_weigh_nothing_to_speak_of(world: Any) -> None:
    line = {"orig": A, "signature": "bad checksum", "category": "Generic Protocol Command Decode", "severity": 3}
    world.read(Kind.ALERT, [line | {"at": n} for n in range(500)])
    assert world.worst(A) <= 0.1


def test_a_flood_of_short_udp_flows(world: Any, traffic: Any) -> None:
    for step in range(8000):
        traffic.begin(step * 0.001, A, B, 9, proto=17, orig_port=1024 + step)
    world.see(traffic)
    assert "flood.udp" in world.reasons()
    assert world.worst(A) >= 0.8
    assert world.worst(B) == 0


def test_a_busy_resolver_gets_its_answers(world: Any, traffic: Any) -> None:
    for step in range(4000):
        traffic.begin(step * 0.01, A, B, 53, proto=17, orig_port=1024 + step)
        traffic.add(
            step * 0.01 + 0.005, A, B, 53, FlowEvent.END, proto=17, orig_port=1024 + step, state=ConnState.SF,
            orig_packets=1, resp_packets=1, new_resp_packets=1, orig_bytes=40, resp_bytes=100,
        )  # fmt: skip
    world.see(traffic)
    assert world.findings == []


def test_a_beacon_with_jitter_shows_by_the_likeness_of_its_sizes(world: Any, traffic: Any) -> None:
    at = 0.0
    for step in range(80):
        at += 30 * (0.65 + 0.7 * int(hashlib.sha256(bytes([step])).hexdigest()[:2], 16) / 255)
        traffic.talk(at, INSIDE, B, 443, out=310, back=1200)
    world.see(traffic)
    assert world.reasons() == {"beacon.regular"}
    assert 0 < world.worst(INSIDE) < 0.4


def test_telemetry_of_a_whole_site_is_no_beacon(world: Any, traffic: Any) -> None:
    for step in range(40):
        for host in range(8):
            traffic.talk(step * 30 + host, f"10.1.2.{10 + host}", B, 443)
    found = world.see(traffic)
    told = {each.evidence.entity.id for each in found}
    assert len(told) <= 3  # the first to be seen; from the fourth on it is the site's habit


def test_a_signature_that_names_the_whole_site_weighs_less(world: Any) -> None:
    lines = [
        {"at": n, "orig": f"10.9.{n // 200}.{n % 200 + 1}", "resp": B, "signature": "ET INFO update", "severity": 1}
        for n in range(600)
    ]
    world.read(Kind.ALERT, lines)
    assert world.worst("10.9.0.1") == 0.55
    assert world.worst("10.9.2.199") < 0.1


def test_many_different_alerts_of_one_host(make_world: Any) -> None:
    many, same = make_world(), make_world()
    for world, names in ((many, "abcdef"), (same, "aaaaaa")):
        lines = [
            {"at": n * 60, "orig": A, "resp": B, "signature": f"ET SCAN {name}", "severity": 2}
            for n, name in enumerate(names)
        ]
        world.read(Kind.ALERT, lines)
    assert "alert.many" in many.reasons()
    assert many.worst(A) >= 0.8
    assert "alert.many" not in same.reasons()
    assert same.worst(A) <= 0.7
