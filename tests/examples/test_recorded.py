"""The recorded examples are what truth.json says of them, by readers that share nothing with the product's."""

import json
import re
import struct
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

import pytest

from sensors.registry import Input, open_source, recognise
from sensors.settings import SensorSettings

ROOT = Path(__file__).resolve().parents[2] / "examples"
TRUTH: dict[str, Any] = json.loads((ROOT / "truth.json").read_text(encoding="utf-8"))
FILES: list[dict[str, Any]] = TRUTH["files"]
CAPTURES = [row for row in FILES if row["data"] == "pcap"]
LOGS = [row for row in FILES if row["data"] == "log"]
NETWORKS = [ip_network(text) for text in ("10.20.0.0/16", "198.51.100.0/24", "203.0.113.0/24")]
FORMATS = {"error": "error", "access": "access", "auth": "auth", "auth-files": "auth"}
MOST_BYTES = 8_000_000


def _name(row: dict[str, Any]) -> str:
    return str(row["path"])


def _packets(path: Path) -> Iterator[tuple[float, bytes]]:
    """Yield (time, frame) of a classic little-endian microsecond pcap of Ethernet."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, link) == (0xA1B2C3D4, 1)
    at = 24
    while at < len(data):
        seconds, micros, kept, _ = struct.unpack_from("<IIII", data, at)
        yield seconds + micros / 1e6, data[at + 16 : at + 16 + kept]
        at += 16 + kept
    assert at == len(data)


@cache
def _pairs(path: str) -> tuple[int, tuple[tuple[float, str, str], ...]]:
    """Return how many packets a capture holds, and (time, source, destination) of the IPv4 ones."""
    packets = list(_packets(ROOT / path))
    found = [
        (ts, str(IPv4Address(frame[26:30])), str(IPv4Address(frame[30:34])))
        for ts, frame in packets
        if frame[12:14] == b"\x08\x00"
    ]
    return len(packets), tuple(found)


def test_files_and_rows_match_and_stay_small() -> None:
    there = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in ROOT.glob("[cl]*/*") if path.is_file()}
    assert {row["path"]: row["counts"]["bytes"] for row in FILES} == there
    assert sum(there.values()) < MOST_BYTES


@pytest.mark.parametrize("row", CAPTURES, ids=_name)
def test_captures_hold_what_the_truth_says(row: dict[str, Any]) -> None:
    count, pairs = _pairs(row["path"])
    assert (row["counts"]["packets"], row["counts"]["ip_packets"]) == (count, len(pairs))
    entities = {address for _, src, dst in pairs for address in (src, dst)}
    assert row["counts"]["entities"] == len(entities)
    assert entities >= {*row["truth"]["benign"], *row["truth"].get("victims", ())}
    for attack in row["truth"].get("attacks", ()):
        first = next(ts for ts, src, _ in pairs if src == attack["entity"] and ts >= attack["first_ts"] - 1e-6)
        assert first == pytest.approx(attack["first_ts"], abs=2e-6)


@pytest.mark.parametrize("row", CAPTURES, ids=_name)
def test_captures_name_only_our_own_networks(row: dict[str, Any]) -> None:
    addresses = {address for _, src, dst in _pairs(row["path"])[1] for address in (src, dst)}
    assert all(any(IPv4Address(address) in network for network in NETWORKS) for address in addresses)


@pytest.mark.parametrize("row", LOGS, ids=_name)
def test_logs_hold_what_the_truth_says(row: dict[str, Any]) -> None:
    lines = (ROOT / row["path"]).read_text(encoding="utf-8").splitlines()
    assert row["counts"]["lines"] == len(lines)
    for attack in row["truth"]["attacks"]:
        word = re.compile(rf"(?<![\d.]){re.escape(attack['entity'])}(?![\d.])")
        assert word.search(lines[attack["first_line"] - 1])
        assert not any(word.search(line) for line in lines[: attack["first_line"] - 1])


def test_labels_follow_from_the_attacks() -> None:
    for row in FILES:
        truth = row["truth"]
        guilty = {attack["entity"] for attack in truth.get("attacks", ())}
        assert (truth["label"] == "attack") is bool(guilty)
        assert guilty == {*truth.get("attackers", ()), *truth.get("compromised", ())}
        assert not guilty & {*truth["benign"], *truth["unknown_entities"], *truth.get("victims", ())}


def test_every_kind_and_much_that_is_benign_is_there() -> None:
    kinds = {attack["kind"] for row in FILES for attack in row["truth"].get("attacks", ())}
    assert kinds >= {
        "port_scan", "host_sweep", "brute_force", "web_attack", "flood", "beacon", "dns_tunnel", "lateral_scan",
    }  # fmt: skip
    assert {row["path"] for row in FILES if row["truth"]["label"] == "benign"} >= {
        "captures/office.pcap",
        "captures/shop.pcap",
    }
    assert sum(len(row["truth"]["benign"]) for row in FILES) >= 40


@pytest.mark.parametrize("row", FILES, ids=_name)
def test_the_sensors_recognise_and_read_them(row: dict[str, Any]) -> None:
    path = ROOT / row["path"]
    expected = FORMATS[path.stem] if row["data"] == "log" else "pcap"
    assert recognise(path).name == expected
    source = open_source(Input(path, row["path"], SensorSettings(), now_ns=1_900_000_000_000_000_000))
    rows = sum(len(batch) for batch in source.batches())
    assert rows > 50
    assert source.counters.malformed == 0
    assert source.counters.read == row["counts"]["packets" if row["data"] == "pcap" else "lines"]
