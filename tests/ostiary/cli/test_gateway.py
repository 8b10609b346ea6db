"""`ostiary gateway`: keys that are shown once, and settings that can be pasted."""

import json
import tomllib

import pytest
from click.testing import CliRunner

from ostiary.cli import cli
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
