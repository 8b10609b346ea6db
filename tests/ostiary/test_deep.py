"""Deep looks beside the engine: who is looked at, how often, and where it is told."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from ostiary.cli import cli
from ostiary.deep import APART_NS, MAX_WAITING, DeepLooks
from ostiary.errors import SettingsError
from risk.values import Level
from sensors.deep import look as looking
from sensors.deep.look import Look
from sensors.values import Entity, EntityKind

CAPTURE = Path(__file__).parents[2] / "examples" / "captures" / "insider.pcap"


def outcome(address="192.0.2.1", level=Level.HIGH, ts=0, kind=EntityKind.IP):
    entity = Entity(kind, address)
    evidence, assessment = SimpleNamespace(ts=ts), SimpleNamespace(level=level)
    return SimpleNamespace(
        entity=entity,
        finding=SimpleNamespace(evidence=evidence, assessment=assessment),
        decision=SimpleNamespace(id="d"),
    )


def source(capture=b"packets"):
    return SimpleNamespace(recent=SimpleNamespace(of=lambda halves, most: capture))


def looked(*outcomes, level="high", see=lambda capture: Look((capture.decode(),)), sources=None):
    looks = DeepLooks(level, see)
    looks.ask(outcomes, sources or [source(), SimpleNamespace()])
    found = looks.take(wait=True)
    looks.close()
    return found, looks.counts


def test_whoever_crosses_the_level_is_looked_at_once_in_a_while():
    sent = [outcome(ts=0), outcome(ts=APART_NS - 1), outcome(ts=APART_NS), outcome("192.0.2.2", Level.ELEVATED)]
    found, counts = looked(*sent)
    assert [item.ts for item in found] == [0, APART_NS]
    assert found[0].look.facts == ("packets",) and counts["deep_looks"] == 2


@pytest.mark.parametrize("other", [outcome("root", kind=EntityKind.USER), outcome(level=Level.LOW)])
def test_who_is_not_looked_at(other):
    assert looked(other)[0] == []


def test_off_looks_at_nobody():
    assert looked(outcome(level=Level.CRITICAL), level="off")[0] == []


def test_nobody_is_looked_at_without_packets():
    found, counts = looked(outcome(), sources=[source(b"")])
    assert (found, counts["deep_looks_left_out"]) == ([], 0)


def test_few_wait_and_what_goes_wrong_is_counted():
    many = [outcome(f"192.0.2.{at}") for at in range(MAX_WAITING + 3)]
    found, counts = looked(*many, see=lambda _: Look(problem="it hangs"))
    assert (len(found), counts["deep_looks_failed"]) == (MAX_WAITING, MAX_WAITING)
    assert counts["deep_looks_left_out"] == 3


def test_a_level_without_what_it_takes_is_an_error(monkeypatch):
    monkeypatch.setattr(looking, "which", lambda _: None)
    with pytest.raises(SettingsError, match="deep_look"):
        DeepLooks("high")


@pytest.mark.slow
@pytest.mark.server
def test_a_run_looks_and_explain_tells(tmp_path, monkeypatch):
    if looking.missing():
        pytest.fail(looking.missing()) if os.environ.get("CI") else pytest.skip("no tshark: it is NOT asked")
    monkeypatch.setenv("OSTIARY_SENSORS__DEEP_LOOK", "high")
    state = ["--state", str(tmp_path / "state")]
    run = CliRunner().invoke(cli, ["run", "--json", str(CAPTURE), *state])
    risky = {
        row["entity"] for line in run.stdout.splitlines() if (row := json.loads(line))["level"] in ("high", "critical")
    }
    told = {}
    for entity in risky:
        explained = CliRunner().invoke(cli, ["explain", "--json", entity, *state])
        told[entity] = json.loads(explained.stdout)["deep_looks"]
    assert any(looks and looks[0]["facts"][0].endswith("packets were looked at") for looks in told.values())
    shown = CliRunner().invoke(cli, ["explain", next(entity for entity, looks in told.items() if looks), *state])
    assert "What tshark sees" in shown.stdout
