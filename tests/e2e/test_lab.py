"""The laboratory: a gateway under a real attack, and what must be true of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAB = Path(__file__).parents[2] / "deploy" / "lab" / "lab.py"
pytestmark = [pytest.mark.alone, pytest.mark.root, pytest.mark.slow, pytest.mark.server]


@pytest.fixture(autouse=True)
def tools() -> None:
    missing = [tool for tool in ("ip", "nft", "nginx", "nmap") if shutil.which(tool) is None]
    if (missing or os.geteuid() != 0) and not os.environ.get("CI"):
        pytest.skip(f"needs root and {missing or 'nothing else'}")


def namespaces(pid: int) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if line.split()[0].endswith(f"-{pid}")]


def test_the_attacker_is_cut_off_and_the_client_never_notices() -> None:
    with subprocess.Popen([sys.executable, str(LAB), "--json"], stdout=subprocess.PIPE, text=True) as lab:
        answer, _ = lab.communicate(timeout=280)
    told = json.loads(answer)
    assert told["claims"] == dict.fromkeys(told["claims"], True), told
    assert {"observed", "nothing_cut", "refused", "dropped", "client", "undone", "no_trace", "verified"} <= set(
        told["claims"]
    )
    facts = told["facts"]
    assert facts["client"]["failed"] == 0
    assert facts["client"]["requests"] > 0
    assert facts["guesses"]["403"] > 0
    assert facts["first_refusal_ms"] is not None
    assert facts["first_drop_ms"] is not None
    assert facts["packets_dropped"] > 0
    assert facts["audit"]["action.active"] == facts["audit"]["action.undone"] == facts["actions"]
    assert lab.returncode == 0
    assert namespaces(lab.pid) == []


def test_ended_early_it_leaves_nothing_behind() -> None:
    with subprocess.Popen([sys.executable, str(LAB)], stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        while "Ostiary observes" not in lab.stdout.readline():
            assert lab.poll() is None
        here = Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split()
        lab.send_signal(signal.SIGTERM)
        lab.communicate(timeout=120)
    assert lab.returncode == 143
    assert namespaces(lab.pid) == []
    assert here
    deadline = time.monotonic() + 30
    while any(Path("/proc", pid).exists() for pid in here):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)
