"""What the policy commands are given: a bundle, inputs, and a real OPA where there is one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ostiary.settings import Settings
from policy.errors import DocumentError

if TYPE_CHECKING:  # its client is heavy, and may be missing
    from policy.engines.opa_link import OpaServer

F = TypeVar("F", bound=Callable[..., Any])  # click decorates functions of any shape

MAX_INPUTS = 1_000_000
NEWEST = 1_000
"""Recorded decisions that a bundle is judged on where no file is named."""


def judging(function: F) -> F:
    """Add --inputs, --generate and --no-opa to a command."""
    for option in (
        click.option("--no-opa", is_flag=True, help="Do not ask a real OPA, even where there is one."),
        click.option(
            "--generate", type=click.IntRange(0, MAX_INPUTS), default=1_000, show_default=True,
            metavar="N", help="Inputs to make up from the schema and from what the bundle speaks of.",
        ),
        click.option(
            "--inputs", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
            help="Recorded inputs, one a line as JSON: input documents, or decisions that hold one as `input`; "
            "default: of the newest decisions in the store.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def recorded(file: Path | None) -> list[Any]:
    """Return the input documents in a file of JSON Lines; raise `DocumentError`."""
    if file is None:
        return []
    found = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if number > MAX_INPUTS:
                    raise DocumentError(f"{file} holds more than {MAX_INPUTS:,} lines")
                value = json.loads(line)
                found.append(value["input"] if isinstance(value, dict) and "input" in value else value)
    except (OSError, ValueError, RecursionError) as error:
        raise DocumentError(f"{file} is not a file of JSON Lines: {error}") from error
    return found


def known(file: Path | None, settings: Settings) -> list[Any]:
    """Return recorded inputs: those in a file, or else of the newest decisions in the store, under pseudonyms."""
    from ostiary.state import STORE
    from ostiary.store import Reader

    path = settings.state_path() / STORE
    if file is not None or not path.exists():
        return recorded(file)
    with Reader.open(path) as store:
        return [dict(item.document) for item in store.decisions(limit=NEWEST).items]


def real_opa(no_opa: bool, settings: Settings) -> "str | OpaServer | None":
    """Return the OPA server that judges, or the path of the `opa` program; None where there is none, or not wanted."""
    if no_opa:
        return None
    if settings.policy.judge_url:
        from ostiary.deciding import opa_server

        return opa_server(settings, settings.policy.judge_url)
    return shutil.which("opa")
