"""The mirror: what the engine said last of everybody, and nothing of whom it never spoke of."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.sidecar.mirror import Mirror
from risk.standing import Part, Standing, assessed
from risk.values import Level
from sensors.entities import Entity, EntityKind

SECOND = 1_000_000_000
NOW = 1_764_000_000 * SECOND
WHO, OTHER = Entity(EntityKind.IP, "192.0.2.7"), Entity(EntityKind.USER, "ip:alice:b")
STANDING = Standing(
    NOW, WHO, Level.HIGH, 2.5, (Part("scan.vertical", 0.7, 600.0, 1.5), Part("brute.ssh", 0.2, 60.0, 1.0))
)
INNOCENT = replace(STANDING, parts=())


@pytest.fixture
def mirror() -> Mirror:
    heard = Mirror()
    heard.revision, heard.synced_ns = "m", NOW
    return heard


def test_what_was_put_is_read_and_decays(mirror: Mirror) -> None:
    mirror.put(STANDING)
    assert len(mirror) == 1
    assert list(mirror.standings()) == [STANDING]
    for later in (0, 60, 3600):
        assert mirror.assess(WHO, NOW + later * SECOND) == assessed(STANDING, NOW + later * SECOND, "m")
    assert mirror.assess(replace(WHO, kind=EntityKind.HOST), NOW) != mirror.assess(WHO, NOW)


def test_the_newest_counts(mirror: Mirror) -> None:
    mirror.put(STANDING)
    worse = replace(STANDING, ts=NOW + 1, level=Level.CRITICAL, parts=(Part("scan.vertical", 0.95, 600.0, 1.5),))
    mirror.put(worse)
    assert list(mirror.standings()) == [worse]


def test_whoever_has_no_parts_is_forgotten(mirror: Mirror) -> None:
    mirror.put(INNOCENT)
    mirror.put(STANDING)
    mirror.put(replace(INNOCENT, entity=OTHER))
    assert len(mirror) == 1
    mirror.put(INNOCENT)
    assert (len(mirror), list(mirror.standings())) == (0, [])
    found = mirror.assess(WHO, NOW)
    assert found is not None
    assert (found.risk, found.level, found.reasons) == (0.0, Level.LOW, ())


def test_while_the_engine_was_never_heard_nothing_is_known() -> None:
    silent = Mirror()
    assert silent.assess(WHO, NOW) is None
    silent.put(STANDING)  # it has begun to tell
    assert silent.assess(OTHER, NOW) is None
    assert silent.assess(WHO, NOW) is not None


def test_unknown_is_innocent_as_of_when_everything_was_told(mirror: Mirror) -> None:
    for at, ts in ((NOW - SECOND, NOW - SECOND), (NOW + 10 * SECOND, NOW)):
        found = mirror.assess(OTHER, at)
        assert found is not None
        assert (found.entity, found.risk, found.ts, found.model_revision) == (OTHER, 0.0, ts, "m")


def test_a_version_changes_with_what_is_said_and_with_nothing_else(mirror: Mirror) -> None:
    versions = [mirror.version(WHO)]
    for said in (STANDING, replace(STANDING, ts=NOW + 1), replace(STANDING, level=Level.LOW), INNOCENT):
        mirror.put(said)
        versions.append(mirror.version(WHO))
        mirror.put(replace(STANDING, entity=OTHER))
        mirror.assess(WHO, NOW + SECOND)
        assert mirror.version(WHO) == versions[-1]
    assert len(set(versions[:4])) == 4
    assert versions[4] == versions[0] == b""


def test_it_can_be_told_while_it_changes(mirror: Mirror) -> None:
    for number in range(4):
        mirror.put(replace(STANDING, entity=Entity(EntityKind.IP, f"192.0.2.{number}")))
    telling = mirror.standings()
    assert next(telling).entity.id == "192.0.2.0"
    mirror.put(replace(INNOCENT, entity=Entity(EntityKind.IP, "192.0.2.1")))
    mirror.put(replace(STANDING, entity=Entity(EntityKind.IP, "192.0.2.9")))
    assert [standing.entity.id for standing in telling] == ["192.0.2.2", "192.0.2.3"]


def test_reasons_beyond_those_that_can_be_told_apart_have_no_name(mirror: Mirror) -> None:
    for number in range(0x10000):
        mirror.put(replace(STANDING, parts=(Part(f"a.{number}", 0.5, 1.0, 1.0),)))
    (found,) = mirror.standings()
    assert found.parts[0] == Part("", 0.5, 1.0, 1.0)
    mirror.put(replace(STANDING, parts=(Part("a.7", 0.5, 1.0, 1.0),)))
    (found,) = mirror.standings()
    assert found.parts[0].reason == "a.7"


ENTITIES = st.builds(Entity, st.sampled_from(EntityKind), st.text(max_size=3))
PARTS = st.builds(
    Part, st.text(max_size=5), st.floats(0, 1), st.floats(0, 1e15), st.floats(0, 1e6, width=32)
)  # fmt: skip
STANDINGS = st.builds(
    Standing, st.integers(-(2**63), 2**63 - 1), ENTITIES, st.sampled_from(Level), st.floats(0, 1e15),
    st.lists(PARTS, max_size=3).map(tuple),
)  # fmt: skip


@given(st.lists(STANDINGS, max_size=12))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_it_holds_the_last_of_each(standings: list[Standing]) -> None:
    mirror = Mirror()
    for standing in standings:
        mirror.put(standing)
    last = {standing.entity: standing for standing in standings}
    assert {each.entity: each for each in mirror.standings()} == {
        entity: standing for entity, standing in last.items() if standing.parts
    }
