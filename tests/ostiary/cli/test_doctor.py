"""`ostiary doctor` says what is missing, and what that costs."""

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from ostiary.cli import cli


def checks(monkeypatch: pytest.MonkeyPatch, path: str) -> dict[str, dict[str, object]]:
    monkeypatch.setenv("PATH", path)
    result = CliRunner().invoke(cli, ["doctor", "--json"], standalone_mode=False)
    return {check["name"]: check for check in json.loads(result.output)}


def test_what_is_missing_is_told_with_its_cost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = checks(monkeypatch, str(tmp_path))
    for program in ("nft", "tshark", "opa"):
        assert not found[program]["ok"]
        assert not found[program]["needed"]
        assert found[program]["cost"]
    assert {"python", "packages", "disk", "CAP_NET_RAW", "CAP_NET_ADMIN", "clock"} <= set(found)


def test_what_is_there_costs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "opa"
    program.write_text("#!/bin/sh\necho Version: 9\n")
    program.chmod(0o755)
    found = checks(monkeypatch, str(tmp_path))
    assert found["opa"]["ok"]
    assert "Version: 9" in str(found["opa"]["found"])
    assert found["opa"]["cost"] == ""


def test_every_word_of_the_exit_code_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary.cli.doctor.RUN_PACKAGES", ("no_such_package",))
    assert CliRunner().invoke(cli, ["doctor"], standalone_mode=False).return_value == 1


def test_an_opa_server_that_should_decide_and_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("OSTIARY_POLICY__ENGINE", "opa")
    monkeypatch.setenv("OSTIARY_POLICY__OPA_URL", address)
    found = checks(monkeypatch, os.environ["PATH"])["opa server"]
    assert (found["ok"], found["needed"]) == (False, True)
    assert address in str(found["found"])


class Opa(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"result": []}' if self.path == "/v1/policies" else b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_an_opa_server_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Opa) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("OSTIARY_POLICY__JUDGE_URL", f"http://127.0.0.1:{server.server_port}")
        assert checks(monkeypatch, os.environ["PATH"])["opa server"]["ok"]
        server.shutdown()
