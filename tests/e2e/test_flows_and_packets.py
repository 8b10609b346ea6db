"""`ostiary up` judges what an exporter of flows sends, looks into packets of whoever is risky, and keeps packets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CAPTURES = Path(__file__).parents[2] / "examples" / "captures"
SETTINGS = """
state_dir = "{folder}/state"
[sensors]
{sensors}
[gate]
listen = "127.0.0.1:{gate}"
[api]
listen = "unix:{folder}/api.sock"
[response]
enforcer_socket = "{folder}/enforcer.sock"
"""


def wants(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.fail(f"no {program}") if os.environ.get("CI") else pytest.skip(f"no {program}: it is NOT tried")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it never came about: {what}")


@contextmanager
def service(folder: Path, sensors: str, *before: str) -> Iterator[Callable[..., Any]]:
    """Run the service, and yield a function that runs a command on its state and returns its JSON."""
    config = folder / "ostiary.toml"
    config.write_text(SETTINGS.format(folder=folder, gate=free_port(), sensors=sensors))
    command = [*before, sys.executable, "-m", "ostiary", "up", "--config", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, cwd=folder)
    try:
        until(lambda: process.poll() is not None or "ready:" in (folder / "log").read_text(), "it is ready")
        assert process.poll() is None, (folder / "log").read_text()
        yield lambda *arguments: _answer(config, *arguments)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (folder / "log").read_text()


def _answer(config: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "ostiary", *arguments, "--config", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None


@pytest.mark.slow
@pytest.mark.server
def test_what_an_exporter_sends_is_judged(tmp_path: Path) -> None:
    wants("softflowd")
    port = free_port(socket.SOCK_DGRAM)
    with service(tmp_path, f'netflow = "127.0.0.1:{port}"') as answer:
        export = ["softflowd", "-r", str(CAPTURES / "insider.pcap"), "-n", f"127.0.0.1:{port}", "-d", "-v", "9"]
        subprocess.run(export, check=True, capture_output=True)
        risky = until(lambda: answer("explain", "10.20.0.29"), "the scanner is known")
        assert any(reason.startswith("scan.") for reason in risky["reasons"])
        assert risky["decisions"][0]["source"] == f"127.0.0.1:{port}"


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.server
def test_packets_are_looked_into_and_kept(tmp_path: Path) -> None:
    wants("tshark", "tcpreplay", "ip")
    if os.geteuid() != 0:
        pytest.skip("needs root: it is NOT tried")
    name = f"ostiary-deep-{os.getpid()}"
    inside = ("ip", "netns", "exec", name)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for line in ("link add left type veth peer name right", "link set left up", "link set right up"):
            subprocess.run([*inside, "ip", *line.split()], check=True)
        sensors = 'interfaces = ["right"]\ndeep_look = "elevated"\nkeep_bytes = 100000000'
        with service(tmp_path, sensors, *inside) as answer:
            replay = [*inside, "tcpreplay", "--quiet", "-i", "left", "--mbps", "20", str(CAPTURES / "insider.pcap")]
            subprocess.run(replay, check=True, capture_output=True)
            looks = until(lambda: (answer("explain", "10.20.0.29") or {}).get("deep_looks"), "it was looked at")
            assert looks[0]["problem"] == "" and "packets were looked at" in looks[0]["facts"][0]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
    out = tmp_path / "out.pcapng"
    config = str(tmp_path / "ostiary.toml")
    command = [sys.executable, "-m", "ostiary", "packets", "export", str(out), "--purpose", "test", "--config", config]
    subprocess.run(command, check=True, capture_output=True)
    seen = subprocess.run(["tshark", "-n", "-r", str(out)], capture_output=True, text=True, check=True).stdout
    assert seen.count("10.20.0.29") > 100
