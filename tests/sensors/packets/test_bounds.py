"""No kernel reads or writes beyond its arrays: damaged vectors under numba's own bounds check, compiled apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import random, sys, tempfile
from pathlib import Path
from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings

chance = random.Random(11)
done = 0
for path in sorted(Path(sys.argv[1]).glob("*.pcap*")):
    original = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(original)
        for _ in range(chance.randint(1, 12)):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        del damaged[chance.randrange(28, len(damaged)) :]
        stream = tempfile.TemporaryFile()
        stream.write(damaged)
        stream.flush()
        for _ in CaptureSource(stream, "", SensorSettings(max_flows=3), chunk=3).batches():
            pass
        done += 1
print(done)
"""


@pytest.mark.slow
def test_damaged_captures_under_the_bounds_check(tmp_path):
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "tests" / "vectors" / "packets")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.stderr == ""
    assert int(done.stdout) == 60 * len(list((ROOT / "tests" / "vectors" / "packets").glob("*.pcap*")))
