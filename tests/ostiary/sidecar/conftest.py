"""Real decisions, by the shipped policy."""

from collections.abc import Callable

import pytest

from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.values import AccessRequest, Decision, Resource, Subject
from sensors.entities import Entity, EntityKind

NOW = 1_764_000_000_123_456_789
Decide = Callable[[int], Decision]


@pytest.fixture(scope="session")
def decider() -> Decider:
    return Decider(EmbeddedEngine(load_bundle()))


@pytest.fixture(scope="session")
def decide(decider: Decider) -> Decide:
    """Make decisions that differ by their number."""
    subject, resource = Subject(Entity(EntityKind.IP, "192.0.2.7"), "alice", "token"), Resource("http", "/a")
    return lambda number: decider.decide(AccessRequest(NOW + number, subject, resource, "GET"), None)
