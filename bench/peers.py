"""Other flow meters, run on a capture in processes of their own: what they cost and what they found.

Suricata is used where it is installed (Debian, from bookworm-backports: 7), nfstream where NFSTREAM names the Python of
an environment that has it (`python3 -m venv /tmp/nfstream && /tmp/nfstream/bin/pip install nfstream`).
"""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).with_name("suricata.yaml")
NFSTREAM = """
import sys
from nfstream import NFStreamer
flows = NFStreamer(
    source=sys.argv[1], n_dissections=int(sys.argv[2]), statistical_analysis=False, idle_timeout=60,
    active_timeout=1800, n_meters=1, accounting_mode=1,
)
print(sum(1 for _ in flows))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, and of processor time over all processes."""

    clock: float
    processor: float
    said: str

    def beyond(self, start: "Cost") -> "Cost":
        """Return the cost without that of starting."""
        return Cost(max(self.clock - start.clock, 1e-9), max(self.processor - start.processor, 1e-9), self.said)


def cost_of(command: Sequence[str], **environment: str) -> Cost:
    """Run a command to its end; raise where it fails."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment)
    clock, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(clock, spent, done.stdout.strip())


def nfstream(capture: Path, dissections: int) -> Cost | None:
    """Meter a capture with nfstream; None where it isn't to be had."""
    python = os.environ.get("NFSTREAM", "")
    return cost_of([python, "-c", NFSTREAM, str(capture), str(dissections)]) if python else None


def suricata(capture: Path, folder: Path) -> Cost | None:
    """Meter a capture with Suricata on one worker, without rules; flow records come into the folder's eve.json."""
    program = shutil.which("suricata")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile() as rules:
        reading = ["-r", str(capture), "-S", rules.name, "-l", str(folder), "-k", "none", "--runmode", "single"]
        return cost_of([program, "-c", str(CONFIG), *reading])


def suricata_version() -> str:
    """Return what Suricata says of itself."""
    return subprocess.run(["suricata", "-V"], check=True, capture_output=True, text=True).stdout.split("version ")[1][
        :6
    ]


def eve_flows(folder: Path) -> list[dict[str, Any]]:
    """Return Suricata's flow records."""
    path = folder / "eve.json"
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return [record for record in found if record["event_type"] == "flow"]
