"""`ostiary config`: check or show the settings."""

import dataclasses
import json
import os
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings
from ostiary.errors import SettingsError
from ostiary.settings import find_file, load, setting_fields


@click.group()
def command() -> None:
    """Check or show the settings.

    \b
    Examples:
      ostiary config check                  ./ostiary.toml, or /etc/ostiary/ostiary.toml, and the environment
      ostiary config check other.toml
      ostiary config show --json
    """


@command.command()
@click.argument("file", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: str | None, as_json: bool) -> int:
    """Check a settings file and the environment; exit code 1 and one line a problem if something is wrong."""
    path = find_file(file)
    problems: list[str] = []
    try:
        load(path, os.environ)
    except SettingsError as error:
        problems = str(error).splitlines()
    if as_json:
        click.echo(json.dumps({"file": str(path) if path else None, "ok": not problems, "problems": problems}))
    else:
        for problem in problems:
            click.echo(problem, err=True)
        if not problems:
            click.echo(f"{path or 'no file, only defaults and the environment'}: the settings are good")
    return 1 if problems else 0


@command.command()
@common
def show(config: str | None, state: str | None, as_json: bool) -> int:
    """Show every setting with the value in force."""
    settings = read_settings(config, state)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(settings), default=_plain))
        return 0
    for section, name, _, documentation in setting_fields():
        owner = getattr(settings, section) if section else settings
        click.echo(f"{section + '.' if section else ''}{name} = {json.dumps(getattr(owner, name), default=_plain)}")
        click.echo(f"    {documentation}")
    return 0


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else dataclasses.asdict(value)  # type: ignore[call-overload] # a settings table
