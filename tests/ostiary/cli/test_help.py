"""The command line tells how it is used, quickly: nothing heavy is imported to answer --help."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from ostiary.cli import COMMANDS, cli

HEAVY = {
    "numpy",
    "numba",
    "river",
    "pydantic",
    "fastapi",
    "rich",
    "regorus",
    "cryptography",
    "re2",
    "presidio_analyzer",
}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        found += leaves(inner, (*path, name))
    return found


ALL = leaves(cli)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"ostiary {name}" in result.output


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_speaks_json_and_explains_its_options(path: tuple[str, ...], command: click.Command) -> None:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options if option.name != "help"), path
    if path not in {("up",), ("gate",)}:  # a service prints no result
        assert "--json" in {flag for option in options for flag in option.opts}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "from ostiary.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not modules & HEAVY


def test_an_unknown_command_is_wrong_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "ostiary", "ruin"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_the_version_is_told() -> None:
    assert "ostiary 0.1" in CliRunner().invoke(cli, ["--version"]).output
