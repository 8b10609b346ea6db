"""What passes from one entity to another, and that nothing comes back larger than it left."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.errors import RelationError
from risk.relations import DEPTH, KEEP_S, MAX_EDGES, Binding, Relation, Relations, declared
from sensors.values import AuthOutcome, Entity, EntityKind, Kind

SECOND = 1_000_000_000
USER, HOME, OTHER = (
    Entity(EntityKind.USER, "ann"), Entity(EntityKind.IP, "10.0.0.1"), Entity(EntityKind.IP, "10.0.0.2")
)  # fmt: skip


def _address(number: int) -> Entity:
    return Entity(EntityKind.IP, f"10.1.0.{number}")


def _factors(relations: Relations, entity: Entity, at: int = 0) -> dict[Entity, float]:
    return {path.origin: path.factor for path in relations.paths(entity, at)}


def test_half_passes_between_a_user_and_an_address_and_a_quarter_over_two_steps() -> None:
    relations = Relations(100)
    relations.bind(Binding(Relation.USES, USER, HOME, 0))
    relations.bind(Binding(Relation.USES, USER, OTHER, 0))
    assert _factors(relations, HOME) == {USER: 0.5, OTHER: 0.25}
    assert _factors(relations, USER) == {HOME: 0.5, OTHER: 0.5}


def test_a_shared_address_says_little_of_each_of_its_users() -> None:
    relations = Relations(100)
    users = [Entity(EntityKind.USER, f"u{n}") for n in range(10)]
    for user in users:
        relations.bind(Binding(Relation.USES, user, HOME, 0))
    assert _factors(relations, users[0])[HOME] == pytest.approx(0.05)
    assert _factors(relations, HOME)[users[3]] == pytest.approx(0.05)


def test_a_relation_ends() -> None:
    relations = Relations(100)
    relations.bind(Binding(Relation.USES, USER, HOME, 0))
    assert relations.paths(HOME, KEEP_S * SECOND)
    assert not relations.paths(HOME, (KEEP_S + 1) * SECOND)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(list(Relation)), st.integers(0, 9), st.integers(0, 9)), max_size=60))
def test_cycles_are_safe(edges: list[tuple[Relation, int, int]]) -> None:
    relations = Relations(8)
    for relation, who, where in edges:
        if who != where:
            relations.bind(Binding(relation, _address(who), _address(where), 0))
    for number in range(10):
        paths = relations.paths(_address(number), 0)
        assert len({path.origin for path in paths}) == len(paths) <= MAX_EDGES**DEPTH
        assert all(0 < path.factor <= 0.5 and path.origin != _address(number) for path in paths)
    assert len(relations) <= 8


def test_gateways_are_declared_and_wrong_lines_quoted() -> None:
    bind = declared(["10.1.0.0/16 198.51.100.1"])
    gateway = Entity(EntityKind.IP, "198.51.100.1")
    assert [(each.who, each.where) for each in bind(_address(5), 0)] == [(_address(5), gateway)]
    assert not list(bind(HOME, 0)) and not list(bind(USER, 0)) and not list(bind(gateway, 0))
    for line in ("10.1.0.0/16", "10.1.0.1/16 198.51.100.1", "a b"):
        with pytest.raises(RelationError, match=r"risk\.behind"):
            declared([line])


def _login(at: float, orig: str, user: str, outcome: AuthOutcome = AuthOutcome.SUCCESS) -> dict[str, Any]:
    return {"at": at, "orig": orig, "user": user, "outcome": outcome, "count": 1}


def test_the_risk_of_an_address_passes_to_who_logs_in_from_it(world: Any) -> None:
    guesses = [_login(n * 0.5, "10.0.0.1", "root", AuthOutcome.FAILURE) for n in range(20)]
    world.read(Kind.AUTH, [_login(0, "10.0.0.1", "ann"), *guesses, _login(11, "10.0.0.9", "bob")])
    now = world.findings[-1].evidence.ts
    source, ann = world.engine.assess(HOME, now), world.engine.assess(USER, now)
    assert ann.risk == pytest.approx(0.5 * source.risk, abs=1e-3)
    assert (ann.reasons, ann.texts[0].pieces[1]) == (("related.uses",), HOME)
    assert sum(ann.contributions.values()) == pytest.approx(ann.risk)
    assert world.engine.assess(Entity(EntityKind.USER, "bob"), now).risk == 0
    assert world.engine.assess(Entity(EntityKind.USER, "root"), now).risk == 0  # nobody got in as root


def test_a_host_passes_a_part_to_its_gateway(make_world: Any, make_traffic: Any) -> None:
    world, traffic = make_world(behind=("10.0.0.0/8 198.51.100.1",)), make_traffic()
    for port in range(1, 120):
        traffic.refused(port * 0.1, "10.0.0.1", "192.0.2.1", port)
    world.see(traffic)
    gateway = world.engine.assess(Entity(EntityKind.IP, "198.51.100.1"), world.findings[-1].evidence.ts)
    assert gateway.reasons == ("related.behind",)
    assert 0.15 <= gateway.risk <= 0.2


def test_relations_are_learnt_the_same_however_the_rows_are_cut(make_world: Any) -> None:
    lines = [_login(n * 70, f"10.0.0.{n % 5}", f"u{n % 7}") for n in range(40)]
    whole, cut = make_world(), make_world()
    whole.read(Kind.AUTH, lines)
    for part in itertools.batched(lines, 3) if hasattr(itertools, "batched") else [lines[:11], lines[11:]]:
        cut.read(Kind.AUTH, list(part))
    at = 10**18 * 2
    for name in ("u1", "u5"):
        entity = Entity(EntityKind.USER, name)
        assert whole.engine.assess(entity, at) == cut.engine.assess(entity, at)
    assert whole.engine.counts()["entities_related"] == cut.engine.counts()["entities_related"] == 12


@pytest.mark.parametrize(("protocol", "factor"), [("dhcp", 0.5), ("dns", 0.0)])
def test_a_lease_binds_a_card_to_its_address(world: Any, protocol: str, factor: float) -> None:
    card = Entity(EntityKind.DEVICE, "aa:bb:cc:00:00:01")
    lease = {"at": 0, "orig": "10.0.0.5", "object": card.id, "protocol": protocol, "name": "ack", "code": 5}
    world.read(Kind.COMMAND, [lease])
    lines = [
        {
            "at": 1 + n,
            "orig": "10.0.0.5",
            "user": f"u{n}",
            "service": "sshd",
            "outcome": AuthOutcome.FAILURE,
            "count": 1,
        }
        for n in range(40)
    ]
    last = world.read(Kind.AUTH, lines)[-1].assessment
    assert world.engine.assess(card, last.ts).risk == pytest.approx(factor * last.risk, abs=0.01)
