"""What was recorded can be made again to the byte, until somebody in it is erased."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from compliance.audit import verify
from ostiary.deciding import policy_engine
from ostiary.errors import NotRepeatableError, StateError
from ostiary.history import Again, plain_document, repeat
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.state import AUDIT, State
from ostiary.store import DecisionRecord, RunRecord
from policy.decide import Decider
from policy.values import AccessRequest, Decision, Resource, Subject
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

NOW = 1_764_000_000_123_456_789
SOURCE, PERSON = Entity(EntityKind.IP, "192.0.2.7"), "alice"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path / "state"))


@pytest.fixture
def state(settings: Settings) -> Iterator[State]:
    with State.open(settings) as opened:
        yield opened


@pytest.fixture
def decider(settings: Settings) -> Decider:
    return Decider(policy_engine(settings))


def decide(decider: Decider, identity: str = "", ts: int = NOW) -> Decision:
    request = AccessRequest(
        ts, Subject(SOURCE, identity, "token" if identity else "none"), Resource("http", "/shop/"), "GET",
        {"gateway": "nginx", "peer": SOURCE.id},
    )  # fmt: skip
    risk = Assessment(NOW, SOURCE, 0.83, Level.HIGH, 1.0, 3.0, 600.0, ("scan.vertical",), (), {}, "m")
    return decider.decide(request, risk)


def recorded(state: State, settings: Settings, decision: Decision) -> DecisionRecord:
    recorder = Recorder(state, settings)
    recorder.begin(RunRecord(str(decision.ts), NOW, "service"))
    recorder.decisions([decision])
    (record,) = state.store.decisions(limit=1).items
    return record


def test_a_recorded_decision_is_made_again_to_the_byte(state: State, settings: Settings, decider: Decider) -> None:
    decision = decide(decider, PERSON)
    record = recorded(state, settings, decision)
    assert SOURCE.id not in str(record)
    assert PERSON not in str(record)
    again = repeat(state.vault, decider, record, state.store.sealed(record.id))
    assert again.outcome is Again.SAME
    assert again.decision == decision


@pytest.mark.parametrize(
    "change",
    [
        {"ts": NOW + 1}, {"verdict": "allow"}, {"verdict": "perhaps"}, {"reasons": ()}, {"obligations": {"x": 1}},
        {"ttl_s": 1.0}, {"policy_revision": "older"}, {"model_revision": "other"}, {"input_digest": "0" * 64},
    ],
)  # fmt: skip
def test_an_edit_of_the_record_is_noticed(
    state: State, settings: Settings, decider: Decider, change: dict[str, Any]
) -> None:
    record = recorded(state, settings, decide(decider))
    edited = dataclasses.replace(record, **change)
    assert repeat(state.vault, decider, edited, state.store.sealed(record.id)).outcome is Again.CHANGED


def test_an_edit_of_the_document_is_noticed(state: State, settings: Settings, decider: Decider) -> None:
    record = recorded(state, settings, decide(decider))
    sealed = state.store.sealed(record.id)
    edited = dataclasses.replace(record, document={**record.document, "action": "POST"})
    assert repeat(state.vault, decider, edited, sealed).outcome is Again.CHANGED
    with pytest.raises(StateError, match="damaged"):
        repeat(state.vault, decider, dataclasses.replace(record, id="f" * 32), sealed)


class Otherwise:
    """An engine that answers everything alike, under a revision that it is given."""

    name = "otherwise"

    def __init__(self, revision: str) -> None:
        self.revision = revision

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"verdict": "allow", "reasons": [], "obligations": {}, "ttl_s": 1}


def test_a_policy_that_answers_otherwise_is_told_from_an_edit_and_from_another_policy(
    state: State, settings: Settings, decider: Decider
) -> None:
    record = recorded(state, settings, decide(decider))
    sealed = state.store.sealed(record.id)
    assert repeat(state.vault, Decider(Otherwise(decider.revision)), record, sealed).outcome is Again.DIFFERENT
    assert repeat(state.vault, Decider(Otherwise("newer")), record, sealed).outcome is Again.OTHER_POLICY


@pytest.mark.parametrize("erased", [SOURCE, Entity(EntityKind.USER, PERSON)])
def test_after_an_erasure_the_record_is_gone_and_the_log_still_verifies(
    state: State, settings: Settings, decider: Decider, erased: Entity
) -> None:
    record = recorded(state, settings, decide(decider, PERSON))
    assert state.vault.erase(state.vault.seal(erased))
    again = repeat(state.vault, decider, record, state.store.sealed(record.id))
    assert again.outcome is Again.GONE
    assert again.decision is None
    assert verify(state.path / AUDIT).ok


def test_one_persons_erasure_leaves_the_decisions_that_do_not_name_her(
    state: State, settings: Settings, decider: Decider
) -> None:
    first = recorded(state, settings, decide(decider))
    recorded(state, settings, decide(decider, PERSON, NOW + 1))
    state.vault.erase(state.vault.seal(Entity(EntityKind.USER, PERSON)))
    assert repeat(state.vault, decider, first, state.store.sealed(first.id)).outcome is Again.SAME


def test_a_row_of_an_earlier_version_is_not_repeatable(state: State, settings: Settings, decider: Decider) -> None:
    record = recorded(state, settings, decide(decider))
    with pytest.raises(NotRepeatableError, match="earlier version"):
        plain_document(state.vault, record.id, record.pseudonym, "{}", b"")
    assert repeat(state.vault, decider, record, b"").outcome is Again.GONE


def test_who_is_seen_anew_after_an_erasure_gets_none_of_the_old_records_back(
    state: State, settings: Settings, decider: Decider
) -> None:
    record = recorded(state, settings, decide(decider))
    state.vault.erase(record.pseudonym)
    assert state.vault.seal(SOURCE) == record.pseudonym
    assert repeat(state.vault, decider, record, state.store.sealed(record.id)).outcome is Again.GONE
