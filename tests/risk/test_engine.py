"""The engine as a whole: order, cuts, gates, bounds."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.anomaly import CEILING
from risk.behaviours import behaviours
from risk.engine import RiskEngine
from risk.settings import RiskSettings
from risk.values import Finding
from sensors.values import FLOW, AuthOutcome, Batch, Entity, EntityKind, Kind, Rows

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
A, B = "192.0.2.7", "198.51.100.9"


@pytest.fixture(scope="module")
def mixed(make_traffic: Any, make_logs: Callable[[Kind, Sequence[dict[str, Any]]], Batch]) -> Batch:
    """A scan, ordinary clients, password guessing and web attacks, at the same time."""
    traffic = make_traffic()
    for port in range(1, 120):
        traffic.refused(port * 0.3, A, B, port)
    for step in range(1500):
        traffic.talk(step * 0.9, f"10.0.0.{step % 12}", f"203.0.113.{step % 5}", 443, out=step % 700)
    auth = [
        {"at": n * 2.0, "orig": f"10.9.0.{n % 2}", "user": f"u{n % 7}", "outcome": AuthOutcome.FAILURE, "count": 1}
        for n in range(60)
    ]
    http = [
        {"at": n * 3.0, "orig": "10.8.0.1", "method": "GET", "path": f"/a{n}?q=' or 1=1", "status": 404}
        for n in range(40)
    ]
    tables: dict[Kind, Rows] = {Kind.FLOW: traffic.rows()}
    texts: list[str] = [""]
    for kind, lines in ((Kind.AUTH, auth), (Kind.HTTP, http)):
        part = make_logs(kind, lines)
        rows, offset = part.tables[kind].copy(), len(texts) - 1
        for name in ("orig", "user", "method", "path"):
            if name in (rows.dtype.names or ()):
                rows[name][rows[name] > 0] += offset
        texts += part.texts[1:]
        tables[kind] = rows
    return Batch(("mixed",), 2**62, tables, texts)


def _cut(batch: Batch, instants: Sequence[float]) -> list[Batch]:
    """Cut a batch at instants (seconds after the start)."""
    edges = [0, *(START + round(s * SECOND) for s in sorted(instants)), 2**62]
    return [
        Batch(batch.sources, high, {
            kind: rows[(rows["ts"] >= low) & (rows["ts"] < high)] for kind, rows in batch.tables.items()
        }, batch.texts)
        for low, high in itertools.pairwise(edges)
    ]  # fmt: skip


def _run(batches: Sequence[Batch]) -> list[Finding]:
    engine = RiskEngine(RiskSettings(learn_batch=32, max_entities=1 << 12))
    return [finding for batch in batches for finding in engine.observe(batch)]


def test_the_mixture_is_understood(mixed: Batch) -> None:
    reasons = {finding.evidence.reason for finding in _run([mixed])}
    assert {"scan.vertical", "brute_force.password", "web.sql", "auth.failure"} <= reasons


def test_findings_come_in_event_order(mixed: Batch) -> None:
    order = [(each.evidence.ts, each.evidence.seq) for each in _run([mixed])]
    assert [ts for ts, _ in order] == sorted(ts for ts, _ in order)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(instants=st.lists(st.floats(0, 1400), max_size=30))
def test_cuts_do_not_matter(mixed: Batch, instants: list[float]) -> None:
    whole = _run([mixed])
    assert len(whole) > 100
    assert _run(_cut(mixed, instants)) == whole


def test_hash_seeds_do_not_matter() -> None:
    script = (
        "import numpy as np\n"
        "from risk.engine import RiskEngine\n"
        "from risk.settings import RiskSettings\n"
        "from sensors.values import AUTH, Batch, Kind\n"
        "rows = np.zeros(40, AUTH)\n"
        "rows['ts'] = np.arange(40) * 10**9; rows['orig'] = 1 + np.arange(40) % 3; rows['user'] = 4\n"
        "rows['outcome'] = 1; rows['count'] = 1\n"
        "texts = ['', '10.0.0.1', '10.0.0.2', '10.0.0.3', 'root']\n"
        "print(RiskEngine(RiskSettings()).observe(Batch(('a',), 2**62, {Kind.AUTH: rows}, texts)))\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert outputs[0] == outputs[1]
    assert "auth.failure" in outputs[0]


def test_the_revision_follows_the_settings() -> None:
    first, second = RiskEngine(RiskSettings()), RiskEngine(RiskSettings())
    assert first.revision == second.revision != RiskEngine(RiskSettings(seed=7)).revision


def test_every_behaviour_says_why_and_when_it_would_be_innocent(mixed: Batch) -> None:
    for finding in _run([mixed]):
        evidence = finding.evidence
        assert evidence.innocent
        assert evidence.text.say()
        assert evidence.entity.id in evidence.text.say()
        assert sum(fact.share for fact in evidence.contributions) == pytest.approx(1)
        assert 0 < evidence.p_value <= 1
        assert evidence.detector in {behaviour.name for behaviour in behaviours()} | {"ensemble"}


def test_empty_batches_and_unknown_entities() -> None:
    engine = RiskEngine(RiskSettings())
    assert engine.observe(Batch(("a",), 5, {})) == []
    assert engine.assess(Entity(EntityKind.IP, A), 5).risk == 0
    assert engine.risky(5, 10) == []


def test_read_only_and_strided_rows_are_welcome(make_traffic: Any) -> None:
    traffic = make_traffic()
    for port in range(1, 200):
        traffic.refused(port * 0.1, A, B, port)
    rows = np.repeat(traffic.rows(), 2)[::2]
    rows.flags.writeable = False
    assert RiskEngine(RiskSettings()).observe(Batch(("a",), 2**62, {Kind.FLOW: rows}))


def test_a_million_sources_do_not_grow_memory() -> None:
    engine = RiskEngine(RiskSettings(max_entities=1 << 12))
    rows = np.zeros(1_000_000, FLOW)
    rows["ts"] = START + np.arange(len(rows)) * 10_000
    rows["seq"] = np.arange(len(rows)) + 1
    rows["event"], rows["orig_flags"], rows["proto"] = 1, 2, 6
    rows["orig_hi"] = 0x20010DB800000000
    rows["orig_lo"] = np.arange(len(rows))
    rows["resp_hi"], rows["resp_lo"], rows["resp_port"] = 0x20010DB800000001, 1, 443
    engine.observe(Batch(("a",), 2**62, {Kind.FLOW: rows}))
    counts = engine.counts()
    assert counts["sources_placed"] == len(rows)
    assert counts["sources_evicted"] >= len(rows) - (1 << 13)
    assert counts["flow_rows"] == len(rows)
    assert counts["entities_risky"] == 0


def test_a_scanner_is_still_found_among_a_million_spoofed_sources(make_traffic: Any) -> None:
    traffic = make_traffic()
    for port in range(1, 400):
        traffic.refused(port * 0.01, A, B, port)
    scan = traffic.rows()
    noise = np.zeros(200_000, FLOW)
    noise["ts"] = START + np.arange(len(noise)) * 20_000
    noise["event"], noise["orig_flags"], noise["proto"], noise["resp_port"] = 1, 2, 6, 443
    noise["orig_hi"], noise["orig_lo"], noise["resp_lo"] = 0x20010DB800000000, np.arange(len(noise)), 1
    rows = np.concatenate([scan, noise])
    rows = rows[np.argsort(rows["ts"], kind="stable")]
    engine = RiskEngine(RiskSettings(max_entities=1 << 12))
    engine.observe(Batch(("a",), 2**62, {Kind.FLOW: rows}))
    assert engine.assess(Entity(EntityKind.IP, A), int(rows["ts"][-1])).risk >= 0.8


def test_the_models_learn_nothing_from_whom_evidence_speaks_against(make_traffic: Any) -> None:
    traffic = make_traffic()
    for port in range(1, 700):  # eleven minutes of scanning, in which the scanner would be sampled about sixty times
        traffic.refused(port * 1.0, A, B, port)
    engine = RiskEngine(RiskSettings(learn_batch=8))
    engine.observe(Batch(("a",), 2**62, {Kind.FLOW: traffic.rows()}))
    counts = engine.counts()
    assert counts["anomaly_gated_evidence"] >= 60
    assert counts["anomaly_learnt"] <= counts["anomaly_scored"] - counts["anomaly_gated_evidence"]


def test_no_anomaly_denies_anything_by_itself() -> None:
    assert CEILING < 0.4
