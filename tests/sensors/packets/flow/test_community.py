"""Community IDs, by published vectors: [protocol, address, port, address, port, seed, identifier]."""

import json
from pathlib import Path

import pytest

from sensors.addresses import address_halves
from sensors.packets.flow.community import community_id

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "packets" / "community.json").read_text())


@pytest.mark.parametrize(("proto", "a", "a_port", "b", "b_port", "seed", "expected"), VECTORS)
def test_vector(proto, a, a_port, b, b_port, seed, expected):
    ends = address_halves(a), address_halves(b)
    assert community_id(*ends, a_port, b_port, int(proto), seed) == expected
    if proto not in ("1", "58"):
        assert community_id(*reversed(ends), b_port, a_port, int(proto), seed) == expected


def test_a_message_without_an_answer_has_a_direction():
    a, b = address_halves("10.0.0.1"), address_halves("10.0.0.2")
    assert community_id(a, b, 3, 1, 1) != community_id(b, a, 3, 1, 1)
