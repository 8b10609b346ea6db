"""Real captures, where they are at hand: each is read whole, and none of its packets is missed."""

import json
import os
from pathlib import Path

import pytest

from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings

pytestmark = pytest.mark.labelled


@pytest.fixture(scope="module")
def root():
    if "OSTIARY_LABELLED" not in os.environ:
        pytest.skip("OSTIARY_LABELLED is not set")
    return Path(os.environ["OSTIARY_LABELLED"])


def test_every_capture_is_read_whole(root):
    manifest = json.loads((root / "MANIFEST.json").read_text())
    truth = {item["path"]: item["counts"].get("packets") for item in manifest["files"]}
    wrong = []
    for path in sorted(path for path in (root / "pcap").rglob("*") if path.is_file()):
        source = CaptureSource.open(path, path.name, SensorSettings())
        for _ in source.batches():
            pass
        counters = source.counters
        assert counters.parsed + counters.malformed + counters.ignored == counters.read
        broken = sum(fault.code.startswith("capture.") for fault in counters.faults)
        expected = truth.get(str(path.relative_to(root)))
        if expected is not None and counters.read - broken != expected:
            wrong.append((path.name, expected, counters.read - broken))
    assert not wrong
