"""What a shadow says is counted and kept, and its trouble is nobody else's."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ostiary.cli.policy.shadow import command
from ostiary.deciding import make_decider
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.state import State
from ostiary.store import RunRecord, Store, StoreFullError
from policy.bundles import SHIPPED
from policy.settings import PolicySettings
from policy.values import AccessRequest, Decision, Resource, Subject
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

NOW = 1_764_000_000_000_000_000


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """The shipped bundle with a lower threshold."""
    folder = tmp_path / "next"
    shutil.copytree(SHIPPED, folder)
    data = json.loads((folder / "data.json").read_text())
    data["ostiary"]["config"]["bands"][1]["at_least"] = 0.6
    (folder / "data.json").write_text(json.dumps(data))
    return folder


def settings(tmp_path: Path, shadow: Path) -> Settings:
    return Settings(state_dir=str(tmp_path / "state"), policy=PolicySettings(shadow=str(shadow), shadow_route="/a/"))


def decisions(chosen: Settings) -> Iterator[Decision]:
    decider = make_decider(chosen)
    for number in range(10):
        who = Entity(EntityKind.IP, f"192.0.2.{number}")
        risk = Assessment(NOW, who, number / 10 + 0.05, Level.HIGH, 0.9, 3.0, 600.0, (), (), {}, "m")
        for route in ("/a/x", "/b/"):
            yield decider.decide(AccessRequest(NOW, Subject(who), Resource("http", route)), risk)


def record(chosen: Settings) -> Path:
    with State.open(chosen) as state:
        recorder = Recorder(state, chosen)
        recorder.begin(RunRecord("r1", NOW, "service"))
        made = list(decisions(chosen))
        recorder.decisions(made[:7])
        recorder.decisions(made[7:])
        return state.path


def test_differences_are_counted_kept_and_summarised(tmp_path: Path, stricter: Path) -> None:
    state = record(settings(tmp_path, stricter))
    row = json.loads(CliRunner().invoke(command, ["--state", str(state), "--json"], standalone_mode=False).stdout)
    assert (row["same"], row["different"], row["failed"]) == (9, 1, 0)
    (group,) = row["groups"]
    assert group == {
        "route": "http /a/x", "verdict": "throttle", "shadow_verdict": "deny", "decisions": 1, "entities": 1,
    }  # fmt: skip
    (difference,) = row["differences"]
    assert difference["shadow_reason"] == "risk.high"
    with Store.create(state / "ostiary.db") as store:
        kept = store.decision(difference["decision_id"])
    assert kept is not None
    assert kept.pseudonym == difference["pseudonym"]
    assert "192.0.2" not in json.dumps(row)
    shown = CliRunner().invoke(command, ["--state", str(state)], standalone_mode=False).output
    assert "9 same, 1 different, 0 failed" in shown
    assert "throttle -> deny (risk.high)" in shown


def test_a_shadow_that_cannot_be_loaded_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    chosen = settings(tmp_path, tmp_path / "nowhere")
    plain = dataclasses.replace(chosen, policy=PolicySettings())
    alone = list(decisions(plain))
    assert [dataclasses.replace(decision, shadow=None) for decision in decisions(chosen)] == alone
    state = record(chosen)
    with Store.create(state / "ostiary.db") as store:
        assert store.shadow_totals() == {"": {"failed": 10}}
        assert {item.shadow_reason for item in store.shadow_differences("").items} == {"policy.bundle"}
    shown = CliRunner().invoke(command, ["--state", str(state)], standalone_mode=False).output
    assert "could not be loaded: 0 same, 0 different, 10 failed" in shown


def test_a_store_that_cannot_take_a_difference_keeps_the_decisions(
    tmp_path: Path, stricter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreFullError("full")

    monkeypatch.setattr(Store, "put_shadow", full)
    state = record(settings(tmp_path, stricter))
    with Store.create(state / "ostiary.db") as store:
        assert len(store.decisions(limit=1000).items) == 20
        assert store.shadow_totals() == {}


def test_without_a_shadow_nothing_is_said(tmp_path: Path) -> None:
    state = record(Settings(state_dir=str(tmp_path / "state")))
    shown = CliRunner().invoke(command, ["--state", str(state)], standalone_mode=False).output
    assert "no shadow was asked" in shown
