"""Nearest normal neighbours: what a scanner differs in, and who is never taken for normal."""

import random
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from risk.normal import CAPACITY, NAMES, NEIGHBOURS, NormalRows, _compare, _unit
from sensors.values import Entity, EntityKind

SCANNER = "192.0.2.7"


def _world(make_world: Any, make_traffic: Any, scanners: int = 1) -> Any:
    world, traffic = make_world(), make_traffic()
    dice = random.Random(1)
    for _ in range(600):
        traffic.talk(dice.random() * 300, f"10.0.0.{dice.randrange(20)}", f"203.0.113.{dice.randrange(5)}", 443)
    for number in range(scanners):
        for port in range(1, 150):
            traffic.refused(100 + port * 0.2, f"192.0.2.{7 + number}", "198.51.100.9", port)
    world.see(traffic)
    return world


def test_a_scanner_differs_from_its_nearest_normal_neighbours_in_what_scanners_do(
    make_world: Any, make_traffic: Any
) -> None:
    world = _world(make_world, make_traffic)
    at = world.findings[-1].evidence.ts
    found = world.engine.nearest(Entity(EntityKind.IP, SCANNER), at)
    assert any(name.startswith("src_ports") for name, *_ in found)
    for name, value, low, high in found:
        assert name in NAMES and low <= high and not low <= value <= high
    assert world.engine.nearest(Entity(EntityKind.IP, "10.0.0.3"), at) == ()
    assert world.engine.nearest(Entity(EntityKind.USER, "root"), at) == ()
    assert world.engine.nearest(Entity(EntityKind.IP, "8.8.8.8"), at) == ()


def test_scanners_are_not_each_others_normal_neighbours(make_world: Any, make_traffic: Any) -> None:
    world = _world(make_world, make_traffic, scanners=12)
    at = world.findings[-1].evidence.ts
    found = world.engine.nearest(Entity(EntityKind.IP, SCANNER), at)
    ports = {name: high for name, _, _, high in found if name.startswith("src_ports")}
    assert ports and max(ports.values()) < 20


def test_the_neighbours_are_those_of_scikit_learn_and_the_range_is_theirs() -> None:
    dice = np.random.default_rng(3)
    others = dice.random((60, len(NAMES))).astype(np.float32)
    own = (dice.random(len(NAMES)) * 40).astype(np.float32)
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(_unit(others)).kneighbors(_unit(own[None, :]))[1][0]
    for name, value, low, high in _compare(own, others):
        column = others[near, NAMES.index(name)]
        assert (low, high) == (round(float(column.min()), 4), round(float(column.max()), 4))
        assert value == round(float(own[NAMES.index(name)]), 4)


def test_few_rows_say_nothing_and_many_are_capped(make_world: Any, make_traffic: Any) -> None:
    world, traffic = make_world(max_entities=1 << 12), make_traffic()
    for number in range(CAPACITY + 50):
        traffic.refused(number * 0.01, f"10.{number >> 8}.0.{number & 255}", "198.51.100.9", 443)
    assert NormalRows().nearest(Entity(EntityKind.IP, SCANNER), lambda _: True) == ()
    world.see(traffic)
    assert len(world.engine._normal._rows) == CAPACITY
