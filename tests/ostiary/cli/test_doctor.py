"""`ostiary doctor` says what is missing, and what that costs."""

import json
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
