"""An installation with nothing but what the gate needs: small, and it answers."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOST_BYTES = 150 << 20
HEAVY = ("numba", "numpy", "sklearn", "river", "presidio_analyzer", "pyarrow", "fastapi", "grpc", "scapy")


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def installed(folder: Path) -> Path:
    """Install the package as a sidecar has it, at the versions of the lock; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    lock = (ROOT / "requirements.txt").read_text()
    pins = re.findall(r"^[A-Za-z0-9_.\[\]-]+==[^\s\\;]+(?: ;[^\\\n]+)?", lock, re.MULTILINE)
    (folder / "pins.txt").write_text("\n".join(pins))
    python = folder / "venv" / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, "-c", str(folder / "pins.txt"), str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return python


def test_a_sidecar_is_small_and_answers(tmp_path: Path) -> None:
    python = installed(tmp_path)
    assert size(tmp_path / "venv") < MOST_BYTES
    found = f"import importlib.util as u; print([name for name in {HEAVY} if u.find_spec(name)])"
    heavy = subprocess.run([python, "-c", found], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert heavy.stdout.strip() == "[]"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "ostiary.toml").write_text(f'state_dir = "{tmp_path}/state"\n[gate]\nlisten = "127.0.0.1:{port}"\n')
    with (tmp_path / "log").open("wb") as log:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(python), "-m", "ostiary", "gate", "--config", str(tmp_path / "ostiary.toml")]
        process = subprocess.Popen(command, stderr=log, cwd=tmp_path, env=environment)
    try:
        while "answers on" not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            headers = {"X-Real-IP": "192.0.2.7", "X-Original-Method": "GET", "X-Ostiary-Route": "/"}
            connection.request("GET", "/auth-request", headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.getheader("X-Ostiary-Error")) == (200, "policy.unavailable")  # it observes
            connection.request("GET", "/health")
            assert json.loads(connection.getresponse().read())["status"] == "failing"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    environment["OSTIARY_GATE__TRACES"] = "http://127.0.0.1:4318"
    refused = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (refused.returncode, "ostiary[otel]" in refused.stderr) == (4, True)
