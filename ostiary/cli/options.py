"""Options that several commands share, and the settings that they lead to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ostiary.settings import Settings, find_file, load

F = TypeVar("F", bound=Callable[..., Any])  # click decorates functions of any shape


def common(function: F) -> F:
    """Add --config, --state and --json to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
        click.option("--state", metavar="DIR", help="State directory (settings: state_dir)."),
        click.option("--config", metavar="FILE", help="Settings file; default ./ostiary.toml or /etc/ostiary/."),
    ):
        function = option(function)
    return function


def read_settings(config: str | None, state: str | None) -> Settings:
    """Read the settings; --state wins over everything."""
    overrides = {"state_dir": str(Path(state).absolute())} if state else {}
    return load(find_file(config), os.environ, overrides)
