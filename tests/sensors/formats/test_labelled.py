"""Against lines of real daemons with known truth, where the labelled data are at hand (OSTIARY_LABELLED)."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensors.addresses import normalise_host
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
