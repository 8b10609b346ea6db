"""`ostiary gateway`: keys that are shown once, and settings that can be pasted."""

import json
import tomllib
from base64 import b32decode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from ostiary.cli import cli
from ostiary.identity.codes import Codes, EnrolmentError
from ostiary.sidecar.sealed import open_key
from policy.identity.apikeys import ApiKeys, digest, keys_of
from policy.settings import KeySettings


@pytest.mark.parametrize("name", ["robot", 'odd "name"', "ü.b"])
def test_a_key_goes_with_the_settings_that_let_it_in(name: str) -> None:
    result = CliRunner().invoke(cli, ["gateway", "key", name, "--group", "ci", "--group", "x"])
    assert result.exit_code == 0
    key = result.stdout.strip()
    (told,) = tomllib.loads(result.stderr)["identity"]["keys"].items()
    assert told == (name, {"sha256": [digest(key)], "groups": ["ci", "x"]})
    keys = ApiKeys(keys_of({name: KeySettings(tuple(told[1]["sha256"]), tuple(told[1]["groups"]))}))
    assert keys.holder(key).name == name
    assert key not in result.stderr


def test_each_key_is_another_and_json_tells_all() -> None:
    told = [json.loads(CliRunner().invoke(cli, ["gateway", "key", "a", "--json"]).stdout) for _ in range(2)]
    assert told[0]["key"] != told[1]["key"]
    assert {row["sha256"] == digest(row["key"]) for row in told} == {True}


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_a_name_that_is_none(name: str) -> None:
    assert CliRunner().invoke(cli, ["gateway", "key", name]).exit_code == 2


def test_an_enrolment_is_sealed_and_can_be_taken_back(tmp_path: Path) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["gateway", "enrol", *arguments, "--state", str(tmp_path)])

    assert isinstance(run("alice").exception, EnrolmentError)  # no gate has run here
    key = open_key(tmp_path / "gate" / "key")
    address = run("alice", "--issuer", "Example").stdout.strip()
    secret = parse_qs(urlsplit(address).query)["secret"][0]
    assert address.startswith("otpauth://totp/Example:alice?")
    codes = Codes(tmp_path / "gate", key)
    assert codes.secret("alice") == b32decode(secret)
    assert json.loads(run("bob", "--json").stdout)["user"] == "bob"
    assert run("alice").stdout.strip() != address
    assert codes.secret("alice") != b32decode(secret) and codes.secret("bob") is not None
    file = tmp_path / "gate" / "codes"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [word for word in (b"alice", b"bob", secret.encode(), b32decode(secret)) if word in file.read_bytes()]
    assert run("alice", "--remove").exit_code == 0
    assert codes.secret("alice") is None and codes.secret("bob") is not None
    assert isinstance(run("alice", "--remove").exception, EnrolmentError)
    for name in ("", " a", "a\n", "x" * 257):
        assert isinstance(run(name).exception, EnrolmentError)
