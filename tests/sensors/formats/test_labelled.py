"""Against lines of real daemons with known truth, where the labelled data are at hand (OSTIARY_LABELLED)."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensors.addresses import address_text, normalise_host
from sensors.errors import UnknownFormatError
from sensors.values import AuthOutcome

ROOT = os.environ.get("OSTIARY_LABELLED")
pytestmark = [pytest.mark.labelled, pytest.mark.skipif(not ROOT, reason="OSTIARY_LABELLED is not set")]

LEAST = {"sshd": 0.98, "pam-generic": 1.0, "vsftpd": 1.0, "dovecot": 0.97, "proftpd": 1.0, "dropbear": 1.0}


@pytest.mark.parametrize("service", LEAST)
def test_lines_that_must_match_name_the_right_client(service: str, read: Callable[..., Any]) -> None:
    folder = Path(ROOT or "") / "logs" / "fail2ban"
    source, rows = read(folder / f"{service}.log", "auth")
    clients: dict[int, set[str]] = {}
    for row in rows:
        if row["outcome"] != AuthOutcome.SUCCESS:
            clients.setdefault(row["seq"], set()).add(row["orig"])
    truth = [json.loads(line) for line in (folder / f"{service}.truth.jsonl").read_text().splitlines()]
    wanted = [row for row in truth if row["match"] and row["default_mode"] and row["host"]]
    right = [row for row in wanted if normalise_host(row["host"]) in clients.get(row["line"], ())]
    assert len(right) >= LEAST[service] * len(wanted)
    assert source.counters.malformed == 0


def test_of_all_services_nearly_all_failures_name_the_right_client(read: Callable[..., Any]) -> None:
    wanted = right = innocent = blamed = 0
    for path in sorted((Path(ROOT or "") / "logs" / "fail2ban").glob("*.log")):
        failing: dict[int, set[str]] = {}
        for row in read(path)[1]:
            if row.get("outcome") != AuthOutcome.SUCCESS and row.get("status", 400) >= 400:
                failing.setdefault(row["seq"], set()).add(row["orig"])
        for line in path.with_name(path.stem + ".truth.jsonl").read_text().splitlines():
            truth = json.loads(line)
            if truth["match"] and truth["default_mode"]:
                wanted += 1
                right += truth["host"] is None or normalise_host(truth["host"]) in failing.get(truth["line"], ())
            elif not truth["match"]:
                innocent += 1
                blamed += truth["line"] in failing
    assert right >= 0.98 * wanted
    assert blamed <= 0.18 * innocent  # refused public keys, closed connections and missing files, which weigh little


def test_sources_of_parsed_lines_are_the_right_ones(read: Callable[..., Any]) -> None:
    cases = right = 0
    for truth in sorted((Path(ROOT or "") / "logs" / "crowdsec").glob("*/parse.jsonl")):
        parsed = [json.loads(line) for line in truth.read_text().splitlines()]
        wanted = {normalise_host(str(row["meta"]["source_ip"])) for row in parsed if row["meta"].get("source_ip")}
        if not wanted:
            continue
        cases += 1
        found: set[str] = set()
        for path in truth.parent.iterdir():
            with contextlib.suppress(UnknownFormatError):
                found |= {_orig(row) for row in read(path)[1]} if path.name != truth.name else set()
        right += wanted <= found
    assert right >= 0.82 * cases


def _orig(row: dict[str, Any]) -> str:
    return address_text(row["orig_hi"], row["orig_lo"]) if row["kind"] == "flow" else row["orig"]


def test_guessing_in_a_real_log_is_seen_with_its_hosts(read: Callable[..., Any]) -> None:
    source, rows = read(Path(ROOT or "") / "logs" / "attack" / "Linux_2k.log")
    assert source.format == "auth" and source.counters.malformed == 0
    failures = [row for row in rows if row["outcome"] == AuthOutcome.FAILURE and row["service"] == "sshd"]
    assert len(failures) > 400
    assert all(row["orig"] for row in failures)


def test_zeek_logs_are_read_whole(read: Callable[..., Any]) -> None:
    files = sorted((Path(ROOT or "") / "zeek").rglob("*.log*"))
    assert files
    for path in files:
        source, _ = read(path)
        assert source.format == "zeek" and source.counters.malformed == 0, path
