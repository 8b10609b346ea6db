"""The captures under tests/vectors/packets, good and bad."""

import importlib.util
import json
from pathlib import Path

import pytest

from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings
from sensors.values import Kind

VECTORS = Path(__file__).parents[2] / "vectors" / "packets"
EXPECTED = json.loads((VECTORS / "expected.json").read_text())


def found(path):
    """Return what the sensor says about a capture, in the form of expected.json."""
    source = CaptureSource.open(path, path.name, SensorSettings())
    flows = [row for batch in source.batches() for row in batch.tables.get(Kind.FLOW, ())]
    counters = source.counters.as_dict()
    return {
        **{name: counters[name] for name in ("read", "parsed", "malformed", "ignored", "late")},
        "faults": [[fault.code, fault.offset] for fault in source.counters.faults],
        "packets of flows": [int(row["orig_packets"]) for row in flows if row["event"] == 2],
    }


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_vector(name):
    assert found(VECTORS / name) == EXPECTED[name]


def test_the_vectors_are_what_their_program_makes():
    spec = importlib.util.spec_from_file_location("make_packet_vectors", VECTORS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {name: (VECTORS / name).read_bytes() for name in module.CAPTURES} == module.CAPTURES
    assert set(module.CAPTURES) == set(EXPECTED)
