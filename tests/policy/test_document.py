"""The input document: its form is the published schema's, and nothing in the request can break it."""

import json
import random
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import policy
from policy.decide import canonical
from policy.document import STALE_AFTER_S, request_document, time_text
from policy.values import AccessRequest, History, Resource, Subject
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

SCHEMA = Path(policy.__file__).parent / "schema" / "input.schema.json"
NOW = 1_764_000_000_123_456_789


def test_known_risk(make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment]) -> None:
    document = request_document(make_request(), make_assessment(0.83, ts=NOW - 1_500_000_000))
    assert document == {
        "version": 1,
        "subject": {
            "kind": "ip",
            "id": "192.0.2.7",
            "identity": "",
            "proof": "none",
            "device": "unknown",
            "posture": "unknown",
            "groups": [],
            "session": {"state": "missing"},
        },
        "resource": {"kind": "network", "name": "any", "sensitivity": "normal", "owner": ""},
        "action": "connect",
        "environment": {
            "time": "2025-11-24T16:00:00Z",
            "weekday": "monday",
            "network": "",
            "place": "",
            "sensor": "",
            "facts": {},
        },
        "history": {"state": "missing"},
        "risk": {
            "state": "known",
            "risk": 0.83,
            "level": "high",
            "confidence": 0.9,
            "age_s": 4.0,
            "reasons": ["scan.vertical"],
            "model_revision": "model-1",
        },
    }


def test_a_session_is_told_in_whole_minutes_and_the_history_as_it_is() -> None:
    subject = Subject(Entity(EntityKind.USER, "alice"), groups=("staff",), session_age_s=119, posture="good")
    document = request_document(AccessRequest(NOW, subject, Resource(owner="bob"), history=History(5)), None)
    assert document["subject"]["session"] == {"state": "known", "age_s": 60}
    assert document["subject"]["groups"] == ["staff"]
    assert document["resource"]["owner"] == "bob"
    assert document["history"] == {"state": "known", "refused": 5}


@given(day=st.integers(0, 2_900_000))
def test_weekdays_are_the_calendars(day: int) -> None:
    document = request_document(AccessRequest(day * 86_400 * 10**9, Subject(Entity(EntityKind.USER, "a"))), None)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    assert document["environment"]["weekday"] == f"{moment:%A}".lower()


def test_missing_risk_is_a_value(make_request: Callable[..., AccessRequest]) -> None:
    assert request_document(make_request(), None)["risk"] == {"state": "missing"}


def test_stale_risk_is_a_value(
    make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment]
) -> None:
    limit = NOW - int(STALE_AFTER_S * 1e9)
    assert request_document(make_request(), make_assessment(0.5, ts=limit))["risk"]["state"] == "known"
    assert request_document(make_request(), make_assessment(0.5, ts=limit - 1000))["risk"]["state"] == "stale"


def test_an_assessment_of_the_future_is_no_younger_than_its_evidence(
    make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment]
) -> None:
    assert request_document(make_request(), make_assessment(0.5, ts=NOW + 10**10))["risk"]["age_s"] == 2.5


def test_risk_is_rounded(
    make_request: Callable[..., AccessRequest], make_assessment: Callable[..., Assessment]
) -> None:
    assert request_document(make_request(), make_assessment(0.123456))["risk"]["risk"] == 0.1235


def test_times_compare_as_texts() -> None:
    seconds = sorted(random.Random(7).randrange(0, 4_102_444_800) for _ in range(200))
    texts = [time_text(second) for second in seconds]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {20}


@given(text=st.text(alphabet=st.characters(exclude_categories=()), min_size=1))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_text_has_a_canonical_form(text: str) -> None:
    subject = Subject(Entity(EntityKind.HOST, text), text, "token", True)
    request = AccessRequest(NOW, subject, Resource("http", text), text, {text: text})
    assert json.loads(canonical(request_document(request, None)))["version"] == 1


def _random_request(chance: random.Random) -> dict[str, object]:
    entity = Entity(chance.choice(list(EntityKind)), chance.choice(["192.0.2.7", "alice", "ü.example", "a" * 300]))
    subject = Subject(
        entity,
        chance.choice(["", "alice"]),
        chance.choice(["none", "password", "token", "mtls"]),
        chance.choice([None, True, False]),
        chance.choice(["unknown", "good", "poor"]),
        chance.choice([(), ("staff",)]),
        chance.choice([None, 0, 59, 10**9, -5]),
    )
    resource = Resource(
        chance.choice(["network", "http"]), chance.choice(["", "/a"]), chance.choice(["public", "normal", "sensitive"])
    )
    ts = chance.randrange(0, 4 * 10**18)
    request = AccessRequest(
        ts, subject, resource, chance.choice(["connect", "GET"]), {"gateway": "nginx"}, chance.choice(["", "office"]),
        chance.choice(["", "DE"]), chance.choice(["", "eth0"]), chance.choice([None, History(5)]),
    )  # fmt: skip
    if chance.random() < 0.2:
        return request_document(request, None)
    assessment = Assessment(
        ts - chance.randrange(-(10**12), 10**12), entity, round(chance.random(), 4), chance.choice(list(Level)),
        round(chance.random(), 4), chance.random() * 1e4, 600.0, ("scan.vertical",) * chance.randrange(3), (), {}, "m",
    )  # fmt: skip
    return request_document(request, assessment)


@pytest.mark.server
def test_documents_satisfy_the_schema_and_broken_ones_do_not(opa: str, tmp_path: Path) -> None:
    chance = random.Random(11)
    good = [_random_request(chance) for _ in range(500)]
    needed = sorted(set(good[0]) - {"history"})
    bad = [{key: value for key, value in good[0].items() if key != missing} for missing in needed] + [
        {**good[0], "risk": {"state": "guessed"}},
        {**good[0], "extra": 1},
        {**good[0], "version": 2},
    ]
    (tmp_path / "input.json").write_text(json.dumps([*good, *bad]))
    (tmp_path / "data.json").write_text(json.dumps({"schema": json.loads(SCHEMA.read_text())}))
    query = "[json.match_schema(document, data.schema)[0] | some document in input]"
    command = [opa, "eval", "-f", "raw", "-i", str(tmp_path / "input.json"), "-d", str(tmp_path / "data.json"), query]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert answer == [True] * len(good) + [False] * len(bad)
