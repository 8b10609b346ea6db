"""A recorded history put to another policy: the same answer from one process or several, with names or without."""

import dataclasses
from pathlib import Path

import pytest

from ostiary import replay as replaying
from ostiary.deciding import policy_engine
from ostiary.recorder import Recorder
from ostiary.replay import Replay, budget_start, replay
from ostiary.settings import Settings
from ostiary.state import State
from ostiary.store import RunRecord
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.errors import BundleError
from policy.patch import budget, patched, thresholds
from policy.values import AccessRequest, Resource, Subject
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

NOW = 1_764_000_000_000_000_000
HOUR = 3_600_000_000_000


def entity(number: int) -> Entity:
    return Entity(EntityKind.IP, f"192.0.2.{number}")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with 200 decisions on ten addresses, one an hour; the risk grows with the address."""
    path = tmp_path_factory.mktemp("replay") / "state"
    settings = Settings(state_dir=str(path))
    decider = Decider(policy_engine(settings))
    with State.open(settings) as state:
        recorder = Recorder(state, settings)
        recorder.begin(RunRecord("r1", NOW, "run"))
        for number in range(200):
            ts, who = NOW + number * HOUR, entity(number % 10)
            risk = Assessment(ts, who, who_risk(number % 10), Level.HIGH, 0.9, 3.0, 600.0, ("x",), (), {}, "m")
            recorder.decisions([decider.decide(AccessRequest(ts, Subject(who), Resource("http", "/a/")), risk)])
        state.vault.erase(state.vault.seal(entity(0)))
    return path


def who_risk(number: int) -> float:
    return number / 10 + 0.05


def test_the_same_policy_changes_nothing(directory: Path) -> None:
    found = replay(Replay(directory, load_bundle(), plain=True))
    assert (found.decisions, found.gone, found.changes) == (180, 20, {})
    assert replay(Replay(directory, load_bundle())).changes == {}


def test_another_threshold_denies_those_above_it_however_many_processes(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle()
    proposed = patched(bundle, thresholds(bundle, {"high": 0.6}))
    alone = replay(Replay(directory, proposed), processes=1)
    assert alone.decisions == 200
    assert alone.newly_denied.decisions == 20  # the address with a risk of 0.65
    assert len(alone.newly_denied.people) == 1
    assert alone.newly_denied.routes == {"http /a/": 20}
    monkeypatch.setattr(replaying, "ALONE", 0)
    monkeypatch.setattr(replaying, "PART", 30)
    told: list[tuple[int, int]] = []
    assert replay(Replay(directory, proposed), lambda *at: told.append(at), processes=2) == alone
    assert told[-1] == (200, 200)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_rule_on_an_address_applies_only_with_names(directory: Path) -> None:
    exempt = {
        "op": "add",
        "path": "/ostiary/config/allow_list/ip:192.0.2.9",
        "value": {"until": "2099-01-01T00:00:00Z"},
    }
    proposed = patched(load_bundle(), [exempt])
    assert replay(Replay(directory, proposed)).changes == {}
    found = replay(Replay(directory, proposed, plain=True))
    assert found.newly_allowed.decisions == 20
    assert found.newly_allowed.networks == {"192.0.2.0/24": 20}
    assert "192.0.2.9" not in repr(found.newly_allowed.examples)


def test_since_counts_back_from_the_newest_decision(directory: Path) -> None:
    assert replay(Replay(directory, load_bundle(), since_s=10 * 3600)).decisions == 11
    assert replay(Replay(directory, load_bundle(), since_s=1e9)).decisions == 200


def test_a_bundle_that_does_not_compile_is_told_before_anything_begins(directory: Path) -> None:
    broken = dataclasses.replace(load_bundle(), modules={"a.rego": "package ostiary\ndecision := {"})
    with pytest.raises(BundleError):
        replay(Replay(directory, broken))


def test_an_alarm_budget_is_kept_in_the_history(directory: Path) -> None:
    start = budget_start(directory, None, per_day=2)
    assert 0.75 < start <= 0.85  # ten addresses a day: the two riskiest may reach it
    bundle = load_bundle()
    found = replay(Replay(directory, patched(bundle, budget(bundle, start))))
    assert len(found.newly_denied.people | found.newly_allowed.people) == 1  # that of 0.75 was denied
    assert budget_start(directory, None, per_day=0) > 0.95
    assert budget_start(directory, 0.0, per_day=1) <= 0.95
