"""`ostiary undo`: undo an action of the running service, by its API."""

import json

import click

from ostiary.cli.asking import ask, token_option
from ostiary.cli.options import common, read_settings
from ostiary.errors import NotFoundError


@click.command()
@click.argument("action")
@token_option
@common
def command(action: str, token_file: str | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Undo ACTION (an id of `ostiary actions`) of the running service. Undoing twice changes nothing.

    It also says that the action was wrong: a label, so that the same evidence doesn't cut the same address off again
    (`ostiary label --list` shows it, `--withdraw` takes it back).

    \b
    Examples:
      ostiary undo 8c376ed38dc28e12e81534a079e88b83
      ostiary undo 8c376ed38dc28e12e81534a079e88b83 --token-file ~/.ostiary-token
    """
    try:
        answer = ask(read_settings(config, state), token_file, "POST", f"/actions/{action}/undo")
    except NotFoundError as error:
        raise NotFoundError(f"there is no action {action} to undo") from error
    click.echo(json.dumps(answer) if as_json else f"{action} is {answer['state']}")
    return 0
