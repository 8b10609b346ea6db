"""Real captures, where they are at hand: each is read whole, and each survives damage with everything counted."""

import json
import os
import random
import tempfile
from pathlib import Path

import pytest

from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings

pytestmark = pytest.mark.labelled

ROUNDS, SOAK_ROUNDS = 3, 1000


@pytest.fixture(scope="module")
def root():
    if "OSTIARY_LABELLED" not in os.environ:
        pytest.skip("OSTIARY_LABELLED is not set")
    return Path(os.environ["OSTIARY_LABELLED"])


def captures(root):
    return sorted(path for path in (root / "pcap").rglob("*") if path.is_file())


def test_every_capture_is_read_whole(root):
    manifest = json.loads((root / "MANIFEST.json").read_text())
    truth = {item["path"]: item["counts"].get("packets") for item in manifest["files"]}
    wrong = []
    for path in captures(root):
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


def flip(chance, data):
    for _ in range(chance.randint(1, 40)):
        data[chance.randrange(4, len(data))] ^= 1 << chance.randrange(8)


def cut(chance, data):
    del data[chance.randrange(28, len(data)) :]


def lie(chance, data):
    """Write a length, or a time, that is far too large or none at all."""
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(24, len(data))
        data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\x04\0", b"\xff\xff\xff\x7f"])[
            : len(data) - at
        ]


def move(chance, data):
    """Put a stretch somewhere else, or twice."""
    at, size, to = (chance.randrange(24, len(data)) for _ in range(3))
    data[to:to] = data[at : at + size]
    if chance.random() < 0.5:
        del data[at : at + size]


def leave_out(chance, data):
    at = chance.randrange(24, len(data))
    del data[at : at + chance.randint(1, 200)]


def test_every_capture_survives_damage(root, soak):
    chance = random.Random(2026)
    settings = SensorSettings(max_flows=256)
    done = 0
    for path in captures(root):
        original = path.read_bytes()
        for _ in range(SOAK_ROUNDS if soak > 1 else ROUNDS):
            data = bytearray(original)
            for harm in chance.sample([flip, cut, lie, move, leave_out], chance.randint(1, 2)):
                if len(data) > 64:
                    harm(chance, data)
            with tempfile.TemporaryFile() as stream:
                stream.write(data)
                stream.flush()
                source = CaptureSource(stream, path.name, settings)
                for _ in source.batches():
                    pass
            counters = source.counters
            assert counters.parsed + counters.malformed + counters.ignored == counters.read, path
            assert counters.bytes == source.size, path
            assert all(0 <= fault.offset < source.size for fault in counters.faults), path
            assert counters.malformed >= len(counters.faults), path
            done += 1
    assert done >= 100
