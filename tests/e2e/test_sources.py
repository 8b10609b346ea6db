"""`ostiary sources` beside a running service and after a run; lines handed in over HTTP and by syslog."""

import gzip
import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SETTINGS = """
state_dir = "{folder}/state"
[sensors]
logs = ["{folder}/access.log", "{folder}/pods/*.log", "syslog+udp://127.0.0.1:{port}", "push:shop"]
queue_bytes = 1048576
[gate]
listen = "unix:{folder}/gate.sock"
[api]
listen = "unix:{folder}/api.sock"
[response]
enforcer_socket = "{folder}/enforcer.sock"
"""
START = 1_795_000_000


def line(number: int) -> bytes:
    """Return an injection from an address that comes once."""
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(START + number))
    request = "GET /item?id=1%27%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1"
    return f'198.18.{number >> 8}.{number & 255} - - [{stamp}] "{request}" 200 12 "-" "-"\n'.encode()


def until(holds: Callable[[], object], what: str, seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.05)
    return found


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self.path))


@dataclass
class Running:
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "ostiary", "up", "--config", str(self.folder / "ostiary.toml")]
            self.process = subprocess.Popen(command, stderr=log, stdout=log, cwd=self.folder)
        self.starts += 1
        until(lambda: self.process.poll() is not None or self.log().count("ready:") == self.starts, "ready")
        assert self.process.poll() is None, self.log()

    def ask(self, method: str, path: str, token: str, body: bytes = b"", packed: bool = False) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Encoding": "gzip"} if packed else {})
        with closing(UnixConnection(self.folder / "api.sock")) as connection:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def sources(self, token: str) -> dict[str, Any]:
        status, found = self.ask("GET", "/sources", token)
        assert status == 200
        return {Path(item["name"]).name: item for item in found["items"]}

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "pods").mkdir()
    (tmp_path / "access.log").touch()
    (tmp_path / "ostiary.toml").write_text(SETTINGS.format(folder=tmp_path, port=port))
    running = Running(tmp_path, port)
    running.start()
    yield running
    running.end()


@pytest.mark.slow
def test_sources_beside_a_running_service(service: Running, ostiary: Callable[..., Any]) -> None:
    state = service.folder / "state"
    token = (state / "first-token").read_text().strip()
    made = ostiary("token", "create", "pusher", "--role", "sensor", state=state).stdout.split()
    sensor = next(word for word in made if word.startswith("ost_"))
    with (service.folder / "access.log").open("ab") as log:
        log.writelines([line(1), b"alice@example.org from 203.0.113.77 did what?\n", line(2)])
    (service.folder / "pods" / "a.log").write_bytes(line(3))
    (service.folder / "pods" / "odd.log").write_bytes(b"hello\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        text = "<38>Nov 24 23:57:16 web1 sshd[5]: Failed password for root from 203.0.113.9 port 4 ssh2"
        sender.sendto(text.encode(), ("127.0.0.1", service.port))

    assert service.ask("POST", "/logs/shop", sensor, line(4) + line(5)) == (202, {"lines": 2})
    assert service.ask("POST", "/logs/shop", sensor, gzip.compress(line(6)), packed=True) == (202, {"lines": 1})
    assert service.ask("POST", "/logs/shop", sensor, b"no gzip", packed=True)[0] == 422
    assert service.ask("POST", "/logs/other", sensor, line(7))[0] == 404
    assert service.ask("POST", "/logs/shop", "ost_" + "A" * 43, line(7))[0] == 401
    assert service.ask("GET", "/sources", sensor)[0] == 403
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not be read to its end to be refused
        assert service.ask("POST", "/logs/shop", sensor, b"x" * (5 << 20))[0] == 413

    def told() -> Any:
        found = service.sources(token)
        counts = {name: (item.get("read"), item.get("malformed")) for name, item in found.items()}
        wanted = {"access.log": (3, 1), "a.log": (1, 0), f"127.0.0.1:{service.port}": (1, 0), "push:shop": (3, 0)}
        return wanted.items() <= counts.items() and "odd.log" in found and found

    found = until(told, "everything read")
    assert found["odd.log"]["trouble"] == "sensors.unknown-format"
    assert found["push:shop"]["format"] == "access"
    (sample,) = found["access.log"]["samples"]
    assert (sample["line"], sample["code"]) == (2, "access.line")
    assert "alice" not in sample["text"] and "203.0.113.77" not in sample["text"] and "did what?" in sample["text"]
    assert found["access.log"]["faults"][0]["offset"] == len(line(1))
    assert found["access.log"]["position"]["offset"] == (service.folder / "access.log").stat().st_size
    assert {"rate", "lag_s", "unread", "dropped", "skew_s"} <= set(found["access.log"])

    printed = [json.loads(text) for text in ostiary("sources", "--json", state=state).stdout.splitlines()]
    assert {Path(item["name"]).name for item in printed} == set(found)
    shown = ostiary("sources", state=state).stdout
    assert "did what?" in shown and "not read: sensors.unknown-format" in shown and "alice" not in shown
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(60) == 0, service.log()
    after = [json.loads(text) for text in ostiary("sources", "--json", state=state).stdout.splitlines()]
    assert {Path(item["name"]).name: item.get("read") for item in after} == {
        name: item.get("read") for name, item in found.items()
    }


def test_sources_after_a_run(tmp_path: Path, ostiary: Callable[..., Any]) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(line(1) + b"bob@example.org\n")
    ostiary("run", str(log))
    (found,) = [json.loads(text) for text in ostiary("sources", "--json").stdout.splitlines()]
    assert (found["name"], found["read"], found["parsed"], found["malformed"]) == (str(log), 2, 1, 1)
    assert [sample["text"] for sample in found["samples"]] == ["<EMAIL>"]
    assert "access.line" in ostiary("sources").stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_was_acknowledged_over_http_is_judged_once_whatever_kills_the_service(service: Running, soak: int) -> None:
    token = (service.folder / "state" / "first-token").read_text().strip()
    sent = acknowledged = 0
    for _ in range(2 * soak):
        for _ in range(20):
            status, answer = service.ask("POST", "/logs/shop", token, b"".join(map(line, range(sent, sent + 5))))
            assert (status, answer) == (202, {"lines": 5})
            sent = acknowledged = sent + 5
        assert service.process is not None
        service.process.kill()
        service.process.wait()
        service.start()
    until(lambda: service.sources(token)["push:shop"]["read"] >= acknowledged, "every line read")
    until(lambda: _decided(service.folder) == acknowledged, "every line judged")
    assert _decided(service.folder, "count(*)") == acknowledged


def _decided(folder: Path, what: str = "count(DISTINCT seq)") -> int:
    with closing(sqlite3.connect(f"file:{folder}/state/ostiary.db?mode=ro", uri=True)) as store:
        return int(store.execute(f"SELECT {what} FROM decision WHERE source = 'push:shop'").fetchone()[0])
