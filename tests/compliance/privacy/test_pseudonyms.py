"""Pseudonyms and commitments."""

import re

from hypothesis import given
from hypothesis import strategies as st

from compliance.privacy import Pseudonymiser, commit, opens
from sensors.values import Entity, EntityKind

KEY = bytes(range(32))
entities = st.builds(Entity, st.sampled_from(EntityKind), st.text())


def test_a_pseudonym_stays_what_it_is() -> None:
    """Stored pseudonyms must still match after an upgrade. The value is what openssl and base32 make of it."""
    assert Pseudonymiser(KEY).pseudonym(Entity(EntityKind.IP, "192.0.2.1")) == "ip-e2owbimd27e3jll2clh2"


@given(entities, entities)
def test_pseudonyms_tell_entities_apart_and_nothing_else(one: Entity, other: Entity) -> None:
    names = Pseudonymiser(KEY)
    name = names.pseudonym(one)
    assert re.fullmatch(r"[a-z]+-[a-z2-7]{20}", name)
    assert (name == names.pseudonym(other)) == (one == other)
    assert name != Pseudonymiser(bytes(32)).pseudonym(one)


def test_the_key_is_not_printed() -> None:
    assert "x01" not in repr(Pseudonymiser(KEY))


@given(entities, entities, st.binary(min_size=32, max_size=32))
def test_commitments_bind(one: Entity, other: Entity, opening: bytes) -> None:
    commitment = commit(opening, one)
    assert re.fullmatch(r"subject-[a-z2-7]{52}", commitment)
    assert opens(commitment, opening, one)
    assert opens(commitment, opening, other) == (one == other)
    assert not opens(commitment, bytes(31) + b"\7", one)
    assert not opens("subject-ä", opening, one)
