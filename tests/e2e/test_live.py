"""Live capture by `ostiary run`: privileges are gone once the interface is open, a filter holds."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

DAC_OVERRIDE = 1 << 1


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def children(pid):
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


@pytest.mark.root
@pytest.mark.parametrize("processes", [1, 2])
def test_privileges_are_gone_once_the_interface_is_open(tmp_path, processes):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    environment = os.environ | {"OSTIARY_SENSORS__CAPTURE_PROCESSES": str(processes)}
    port = 47900 + processes  # of its own: another of these tests may send over the same loopback now
    live = ["--interface", "lo", "--filter", f"udp dst port {port}"]
    command = [sys.executable, "-m", "ostiary", "run", "--json", *live]
    process = subprocess.Popen(
        [*command, "--state", str(tmp_path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wanted, end = processes if processes > 1 else 0, time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            held = [status(pid)["CapEff"] for pid in (process.pid, *children(process.pid))]
            if len(held) == 1 + wanted and all(int(bits, 16) & ~DAC_OVERRIDE == 0 for bits in held):
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"capabilities: {held}; {process.poll()}")
        assert status(process.pid)["NoNewPrivs"] == "1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(40):
                sender.sendto(b"x", ("127.0.0.1", port))
                sender.sendto(b"x", ("127.0.0.1", port + 50))
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    shown = subprocess.run(
        [sys.executable, "-m", "ostiary", "sources", "--json", "--state", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    sources = [json.loads(line) for line in shown.stdout.splitlines()]
    assert len(sources) == processes
    assert 0 < sum(source["read"] for source in sources) <= 40
    assert all(source["kernel_dropped"] == 0 for source in sources)
