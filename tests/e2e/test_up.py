"""`ostiary up`, from its first line to SIGTERM."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ATTACKER, FRIEND = "203.0.113.66", "198.51.100.7"
SETTINGS = """
state_dir = "{folder}/state"
[sensors]
logs = ["{folder}/access.log"]
[gate]
listen = "127.0.0.1:{gate}"
mode = "{mode}"
overload_s = 10
[api]
listen = "unix:{folder}/api.sock"
[response]
enforcer_socket = "{folder}/enforcer.sock"
"""


def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came about: {what}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@dataclass
class Running:
    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    def configure(self, text: str) -> None:
        (self.folder / "ostiary.toml").write_text(text)
        self.process.send_signal(signal.SIGHUP)

    def gate(self) -> int:
        """The process of the gate beside it."""
        return int((self.folder / "state" / "gate" / "lock").read_text().split()[0])

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ask(self, address: str) -> tuple[int, str]:
        headers = {"X-Real-IP": address, "X-Original-Method": "GET", "X-Ostiary-Route": "/"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/auth-request", headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.getheader("X-Ostiary-Verdict", "")

    def api(self, path: str) -> tuple[int, Any]:
        token = (self.folder / "state" / "first-token").read_text().strip()
        with closing(UnixConnection(self.folder / "api.sock")) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


ENDS_BADLY = """
import time
from ostiary import service, worker
from ostiary.cli import main
from ostiary.errors import StateError

def full(context):
    raise StateError("there is no room for the last record")

def slow(context):
    time.sleep(60)

service.END_S = {end_s}
worker.Context.finish = {finish}
main()
"""
"""The command, of a machine whose disk is full, or hangs, when the service ends."""
FULL, HANGING = ENDS_BADLY.format(end_s=30, finish="full"), ENDS_BADLY.format(end_s=0.5, finish="slow")


@pytest.fixture
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    port = free_port()
    (tmp_path / "access.log").touch()
    (tmp_path / "ostiary.toml").write_text(SETTINGS.format(folder=tmp_path, gate=port, mode="observe"))
    program = getattr(request, "param", ["-m", "ostiary"])
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *program, "up", "--config", str(tmp_path / "ostiary.toml")], stderr=log, stdout=log
        )
    service = Running(tmp_path, port, process)
    try:
        until(lambda: process.poll() is not None or "ready:" in service.log(), "ready")
        assert process.poll() is None, service.log()
        yield service
    finally:
        service.process.kill() if service.process.poll() is None else None
        service.process.wait(10)
        with suppress(OSError, ValueError):  # what is left of a killed engine's gate
            os.kill(service.gate(), signal.SIGKILL)


def attack(folder: Path) -> None:
    now = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    request = '"GET /item?id=1%27%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1" 200 12 "-" "-"'
    with (folder / "access.log").open("a") as log:
        log.writelines(f"{ATTACKER} - - [{now}] {request}\n" for _ in range(3))


@pytest.mark.slow
def test_a_service_from_start_to_end(running: Running, ostiary: Callable[..., Any]) -> None:
    assert running.ask(ATTACKER) == (200, "allow")
    attack(running.folder)
    until(lambda: running.ask(ATTACKER)[1] in ("deny", "isolate"), "a verdict against the attacker")
    assert running.ask(ATTACKER)[0] == 200  # observing
    assert running.ask(FRIEND) == (200, "allow")

    status, actions = until(lambda: running.api("/actions")[1]["items"] and running.api("/actions"), "a proposal")
    assert status == 200
    assert [item["state"] for item in actions["items"]] == ["proposed"]
    assert ATTACKER not in json.dumps(running.api("/decisions"))

    state, config = running.folder / "state", ("--config", str(running.folder / "ostiary.toml"))
    again = ostiary("decisions", "--again", "all", "--purpose", "a drill", "--json", *config, state=state)
    assert list(json.loads(again.stdout)["outcomes"]) == ["same"]  # beside the service, which notes it
    assert ATTACKER in ostiary("decisions", "--reveal", "a drill", "--json", *config, state=state).stdout

    settings = (running.folder / "ostiary.toml").read_text()
    running.configure("[gate]\nmod = 1\n")
    until(lambda: "the old settings stay in force" in running.log(), "wrong settings refused")
    running.configure(settings.replace('mode = "observe"', 'mode = "enforce"'))
    until(lambda: running.ask(ATTACKER)[0] == 403, "a refusal")
    assert running.ask(FRIEND) == (200, "allow")

    if os.geteuid() == 0:  # whatever root had is gone from every thread that parses
        for thread in Path(f"/proc/{running.process.pid}/task").iterdir():
            assert "CapEff:\t0000000000000000" in (thread / "status").read_text()

    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
    assert running.log().rstrip().endswith("stopped")
    assert json.loads(ostiary("audit", "verify", "--json", state=state).stdout)["ok"]
    shown = [
        json.loads(line)
        for line in ostiary("audit", "show", "--json", "--limit", "999", state=state).stdout.splitlines()
    ]
    assert {"service.started", "decision", "reveal", "action.proposed", "activation", "service.finished"} <= {
        entry["kind"] for entry in shown
    }


@pytest.mark.slow
def test_the_gate_outlives_a_killed_engine_and_the_next_engine_goes_on_with_it(
    running: Running, ostiary: Callable[..., Any]
) -> None:
    running.configure((running.folder / "ostiary.toml").read_text().replace('"observe"', '"enforce"'))
    attack(running.folder)
    until(lambda: running.ask(ATTACKER)[0] == 403, "a refusal")
    gate = running.gate()
    running.process.kill()
    running.process.wait(10)
    assert running.ask(ATTACKER)[0] == 403
    assert running.ask("198.51.100.8") == (200, "allow")

    with (running.folder / "log").open("ab") as log:
        arguments = [sys.executable, "-m", "ostiary", "up", "--config", str(running.folder / "ostiary.toml")]
        running.process = subprocess.Popen(arguments, stderr=log, stdout=log)
    until(lambda: running.log().count("ready:") == 2, "the next engine")
    assert f"goes on with the gate that runs already (process {gate})" in running.log()
    assert running.gate() == gate
    _, health = running.api("/health")
    assert (health["gate"], health["unrecorded"]) == ("ok", 0)
    subjects = until(lambda: running.api("/decisions")[1]["items"], "the decisions made meanwhile")
    assert len(subjects) >= 3

    attack(running.folder)  # what a killed engine had not saved yet, the next one doesn't know
    until(lambda: running.ask(ATTACKER)[0] == 403, "a refusal by what the next engine knows")
    os.kill(gate, signal.SIGKILL)
    until(lambda: running.log().count("answers on") == 2, "another gate")
    until(lambda: running.ask(ATTACKER)[0] == 403, "its answer")
    gate = running.gate()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
    until(lambda: not Path(f"/proc/{gate}").exists(), "the end of the gate, too")
    assert json.loads(ostiary("audit", "verify", "--json", state=running.folder / "state").stdout)["ok"]


@pytest.mark.slow
def test_an_activated_bundle_decides_after_a_reload(
    running: Running, ostiary: Callable[..., Any], tmp_path: Path
) -> None:
    assert running.ask(FRIEND) == (200, "allow")
    (tmp_path / "rego").mkdir()
    (tmp_path / "rego" / "policy.rego").write_text(
        'package ostiary\n\ndecision := {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": 0}\n'
    )
    state = running.folder / "state"
    ostiary("policy", "activate", str(tmp_path / "rego"), "--no-opa", state=state)
    assert running.ask(FRIEND) == (200, "allow")  # nobody told the service yet
    running.process.send_signal(signal.SIGHUP)
    until(lambda: running.ask(FRIEND) == (200, "deny"), "the new bundle's verdict, observed")
    (bundle,) = (state / "policy").glob("*.tar.gz")
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-9])
    running.process.send_signal(signal.SIGHUP)
    until(lambda: "the old settings stay in force" in running.log(), "a damaged bundle refused")
    assert running.ask(FRIEND) == (200, "deny")


def test_a_service_that_cannot_start_says_why(tmp_path: Path, ostiary: Callable[..., Any]) -> None:
    (tmp_path / "ostiary.toml").write_text(f'[sensors]\nlogs = ["{tmp_path}/none.log"]\n')
    assert "none.log" in ostiary("up", code=3).stderr
    (tmp_path / "ostiary.toml").write_text('[api]\nlisten = "192.0.2.1:80"\n')
    assert "TLS" in ostiary("up", code=4).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "ostiary.toml").write_text(
            f'[api]\nlisten = "unix:{tmp_path}/api"\n[gate]\nlisten = "127.0.0.1:{port}"\n'
        )
        said = ostiary("up", code=4).stderr
    assert "in use" in said
    assert "gate.process" in said


def test_the_units_of_systemd_are_valid() -> None:
    folder = Path(__file__).parents[2] / "deploy" / "systemd"
    for unit in sorted(folder.glob("*.service")):
        done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if unit.name in line and "not executable" not in line]
        assert complaints == []


@pytest.mark.parametrize(
    ("running", "said"),
    [
        (["-c", FULL], "there is no room for the last record"),
        (["-c", HANGING], "the engine has not ended within 0.5 s"),
    ],
    indirect=["running"],
)
def test_what_fails_while_a_service_ends_is_told(running: Running, said: str) -> None:
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 4
    assert said in running.log()
