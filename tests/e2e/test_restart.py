"""A service that is ended and begun again knows whom it distrusted; what people say of them acts at once."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

ATTACKER, FRIEND = "203.0.113.66", "198.51.100.7"
SETTINGS = """
state_dir = "{folder}/state"
[sensors]
logs = ["{folder}/access.log"]
[gate]
listen = "127.0.0.1:{port}"
[api]
listen = "unix:{folder}/api.sock"
[response]
enforcer_socket = "{folder}/enforcer.sock"
"""


def until(holds: Callable[[], object], what: str, seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came about: {what}")


@contextmanager
def service(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "ostiary", "up", "--config", str(folder / "ostiary.toml")]
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        until(lambda: process.poll() is not None or "ready:" in (folder / "log").read_text(), "ready")
        assert process.poll() is None, (folder / "log").read_text()
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (folder / "log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def verdict(port: int, address: str) -> str:
    headers = {"X-Real-IP": address, "X-Original-Method": "GET", "X-Ostiary-Route": "/"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/auth-request", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("X-Ostiary-Verdict", "")


@pytest.mark.slow
def test_risk_and_labels_outlive_the_service(tmp_path: Path, ostiary: Callable[..., Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (tmp_path / "access.log").touch()
    config = tmp_path / "ostiary.toml"
    config.write_text(SETTINGS.format(folder=tmp_path, port=port))
    state = tmp_path / "state"

    def ask(*arguments: str) -> Any:
        return json.loads(ostiary(*arguments, "--json", "--config", str(config), state=state).stdout)

    with service(tmp_path):
        assert "begins empty" in (tmp_path / "log").read_text()
        now = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        request = '"GET /item?id=1%27%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1" 200 12 "-" "-"'
        with (tmp_path / "access.log").open("a") as log:
            log.writelines(f"{ATTACKER} - - [{now}] {request}\n" for _ in range(3))
        until(lambda: verdict(port, ATTACKER) in ("deny", "isolate"), "a verdict against the attacker")
    (tmp_path / "access.log").write_text("")  # nothing is left to read it from
    with service(tmp_path):
        assert "goes on from state" in (tmp_path / "log").read_text()
        assert verdict(port, ATTACKER) in ("deny", "isolate")
        assert verdict(port, FRIEND) == "allow"
        given = ask("label", ATTACKER, "benign", "--note", "our scanner")
        assert given["actor"] == "first-admin" and verdict(port, ATTACKER) == "allow"
        assert ask("label", "--withdraw", given["id"])["withdrawn_by"] == "first-admin"
        assert verdict(port, ATTACKER) in ("deny", "isolate")
        outlook = ask("forecast")
        assert outlook["overflows"] == [] and [each["minutes"] for each in outlook["load"]] == [5, 15, 30, 60]
    model = ask("model")
    assert model["began_with"] and [span["rows"] for span in model["sources"]] == [3]
    assert json.loads(ostiary("audit", "verify", "--json", state=state).stdout)["ok"]
    audit = ostiary("audit", "show", "--json", "--limit", "999", state=state).stdout
    kinds = [json.loads(line)["kind"] for line in audit.splitlines()]
    assert kinds.index("label") < kinds.index("label.withdrawn") and kinds.count("model.began") == 2
    assert ATTACKER not in audit
