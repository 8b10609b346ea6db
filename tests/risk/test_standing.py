"""What is handed on of a risk reads, at any later instant, as the ledger's own does."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.sidecar.frames import read_risks, risk_frames
from ostiary.sidecar.mirror import Mirror
from risk.engine import RiskEngine
from risk.ledger import Ledger
from risk.settings import RiskSettings
from risk.standing import Standing, assessed
from risk.values import Assessment, Evidence, Level, Words
from sensors.values import HTTP, Batch, Entity, EntityKind, Kind

SECOND = 1_000_000_000
WHO = Entity(EntityKind.IP, "192.0.2.7")
BEGIN = 1_764_000_000 * SECOND


def evidence(weight: float, reason: str, ts: int, half_life_s: float, count: int) -> Evidence:
    words = Words((WHO, " did something"))
    return Evidence(
        BEGIN + ts * SECOND, WHO, reason.split(".")[0], reason, "", 0.01, weight, half_life_s, words, "", (), "a", 1,
        count=count, ceiling=1.0,
    )  # fmt: skip


EVIDENCE = st.builds(
    evidence,
    weight=st.floats(0, 1),
    reason=st.sampled_from([f"{kind}.{n}" for kind in "abc" for n in range(4)]),
    ts=st.integers(0, 10_000),
    half_life_s=st.floats(1, 1e5),
    count=st.integers(1, 10**6),
)


def by_frame(standing: Standing) -> Mirror:
    """A gate's mirror after the standing went over the wire."""
    mirror = Mirror()
    mirror.revision, mirror.synced_ns = "r", BEGIN
    for frame in risk_frames([standing]):
        for each in read_risks(frame[5:]):
            mirror.put(each)
    return mirror


def same(found: Assessment | None, wanted: Assessment) -> bool:
    assert found is not None
    assert found.risk == pytest.approx(wanted.risk, abs=1.01e-4)
    assert found.age_s == pytest.approx(wanted.age_s, abs=1e-3)
    if found.risk == wanted.risk:  # else one of them may lie on the other side of a level
        assert found.level is wanted.level
    firm = {reason for reason, share in wanted.contributions.items() if share > 3e-4}
    assert firm <= set(found.reasons)
    return (found.entity, found.model_revision, found.ts) == (wanted.entity, wanted.model_revision, wanted.ts)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(EVIDENCE, min_size=1, max_size=30), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_standing_reads_like_the_ledger_at_any_later_instant(items: list[Evidence], read: int, later: int) -> None:
    ledger = Ledger(10, "r")
    for item in items:
        ledger.add(item)
    end = max(item.ts for item in items)
    standing = ledger.standing(WHO, end + read * SECOND)
    at = end + (read + later) * SECOND
    wanted = ledger.assess(WHO, at)
    assert same(assessed(standing, at, "r"), wanted)
    if standing.parts:
        assert same(by_frame(standing).assess(WHO, at), wanted)
        assert assessed(standing, end + read * SECOND, "r").confidence == ledger.assess(WHO, standing.ts).confidence


def test_an_instant_before_the_standing_counts_as_that() -> None:
    ledger = Ledger(10, "r")
    ledger.add(evidence(0.8, "a.b", 0, 60.0, 1))
    standing = ledger.standing(WHO, BEGIN)
    assert assessed(standing, BEGIN - SECOND, "r").risk == assessed(standing, BEGIN, "r").risk == 0.8


def test_a_level_is_left_only_well_below_where_it_began() -> None:
    ledger = Ledger(10, "r")
    ledger.add(evidence(0.72, "a.b", 0, 3600.0, 1))
    standing = ledger.standing(WHO, BEGIN)
    levels = [assessed(standing, BEGIN + minutes * 60 * SECOND, "r").level for minutes in (0, 5, 10)]
    assert levels == [Level.HIGH, Level.HIGH, Level.ELEVATED]


Asks = Callable[..., list[Any]]


def asks(engine: RiskEngine, who: str, path: str, user: str = "", ts: int = 0) -> None:
    import numpy as np

    rows = np.zeros(1, HTTP)
    rows["ts"], rows["orig"], rows["path"], rows["method"], rows["user"] = (
        BEGIN + ts * SECOND,
        1,
        2,
        3,
        4 if user else 0,
    )
    rows["status"] = 200
    engine.observe(Batch(("access.log",), 2**62, {Kind.HTTP: rows}, ("", who, path, "GET", user)))


ATTACK = "/item?id=1' UNION SELECT password FROM users--"


def names(standings: list[Standing]) -> dict[str, bool]:
    return {standing.entity.id: bool(standing.parts) for standing in standings}


def test_what_changed_is_told_once_and_with_those_whom_it_reaches() -> None:
    engine = RiskEngine(RiskSettings())
    asks(engine, "192.0.2.1", "/", "alice")
    assert engine.standings(BEGIN) == []
    asks(engine, "192.0.2.9", "/", "bob", 1)
    assert engine.changed(BEGIN + SECOND) == []
    asks(engine, "192.0.2.1", ATTACK, ts=2)
    found = engine.changed(BEGIN + 2 * SECOND)
    assert names(found) == {"192.0.2.1": True, "alice": True}
    for standing in found:
        wanted = engine.assess(standing.entity, BEGIN + 2 * SECOND)
        assert same(assessed(standing, BEGIN + 2 * SECOND, engine.revision), wanted)
    assert engine.changed(BEGIN + 2 * SECOND) == []
    assert names(engine.standings(BEGIN + 2 * SECOND)) == {"192.0.2.1": True, "alice": True}


def test_a_user_who_comes_to_a_risky_address_is_told() -> None:
    engine = RiskEngine(RiskSettings())
    engine.standings(BEGIN)
    asks(engine, "192.0.2.1", ATTACK)
    engine.changed(BEGIN)
    asks(engine, "192.0.2.1", "/", "alice", 1)
    assert names(engine.changed(BEGIN + SECOND)) == {"192.0.2.1": True, "alice": True}


def test_whoever_is_forgotten_is_told_as_innocent_once() -> None:
    engine = RiskEngine(RiskSettings(max_entities=16))
    engine.standings(BEGIN)
    for number in range(16):
        asks(engine, f"192.0.2.{number}", ATTACK, ts=number)
    assert all(names(engine.changed(BEGIN + 16 * SECOND)).values())
    asks(engine, "192.0.2.99", ATTACK, ts=17)
    found = names(engine.changed(BEGIN + 17 * SECOND))
    assert (found.pop("192.0.2.99"), list(found.values())) == (True, [False])
    assert engine.changed(BEGIN + 18 * SECOND) == []
