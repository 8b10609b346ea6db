"""What was let in of late: bounded, by entity, without credentials."""

from ostiary.sidecar.live import SPAN_NS, Live
from policy.values import AccessRequest, Resource, Subject
from sensors.values import Entity, EntityKind

ALICE, BOB = (Entity(EntityKind.IP, f"192.0.2.{number}") for number in (7, 8))


def request(entity: Entity = ALICE, ts: int = 0, name: str = "/") -> AccessRequest:
    return AccessRequest(ts, Subject(entity), Resource("http", name), "GET")


def test_each_question_is_held_once_at_its_newest() -> None:
    live = Live()
    for ts in (1, 2, 3):
        live.note(request(ts=ts))
    live.note(request(name="/other"))
    live.note(request(BOB))
    assert len(live) == 3
    assert [(found.ts, found.resource.name) for found in live.of([ALICE], 4)] == [(3, "/"), (0, "/other")]
    assert live.entities() == [ALICE, BOB]


def test_the_oldest_go_first() -> None:
    live = Live(capacity=2)
    live.note(request(name="/a"))
    live.note(request(BOB))
    live.note(request(name="/a", ts=5))  # newer now than the other
    live.note(request(name="/b"))
    assert [found.resource.name for found in live.of([ALICE, BOB], 6)] == ["/a", "/b"]
    assert live.entities() == [ALICE]


def test_what_was_let_in_long_ago_counts_as_ended() -> None:
    live = Live()
    live.note(request())
    assert list(live.of([ALICE], SPAN_NS)) == [request()]
    assert list(live.of([ALICE], SPAN_NS + 1)) == []
    assert (len(live), live.entities()) == (0, [])


def test_what_an_identity_was_let_in_for_is_found_by_its_name() -> None:
    live = Live()
    for entity, name in ((ALICE, "alice"), (BOB, "alice"), (BOB, "bob"), (BOB, "")):
        live.note(AccessRequest(0, Subject(entity, name), Resource("http", "/"), "GET"))
    assert [found.subject.entity for found in live.of(["alice"], 1)] == [ALICE, BOB]
    assert live.entities() == [ALICE, BOB]
    for found in list(live.of(["alice"], 1)):
        live.forget(found)
    assert list(live.of(["alice"], 1)) == []
    assert len(list(live.of([BOB], 1))) == 2


def test_forgetting_twice_is_as_forgetting_once() -> None:
    live = Live()
    live.note(request())
    live.forget(request())
    live.forget(request())
    assert len(live) == 0
