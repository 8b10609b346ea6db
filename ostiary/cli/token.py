"""`ostiary token`: make, list and revoke tokens of the API."""

import json
import time
from dataclasses import asdict

import click

from ostiary.api.access import Role
from ostiary.api.tokens import Tokens
from ostiary.cli.options import common, read_settings
from ostiary.settings import Settings


def _tokens(settings: Settings) -> Tokens:
    from ostiary.state import TOKENS, make_directory

    return Tokens(make_directory(settings.state_path()) / TOKENS)


@click.group()
def command() -> None:
    """Make, list and revoke tokens of the API. Only their hashes are kept.

    \b
    Examples:
      ostiary token create alice --role analyst
      ostiary token list
      ostiary token revoke alice
    """


@command.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="What its holder may do; give it several times for several roles.",
)
@common
def create(name: str, roles: tuple[str, ...], config: str | None, state: str | None, as_json: bool) -> int:
    """Make a token called NAME and print it: it cannot be shown again."""
    token = _tokens(read_settings(config, state)).create(name, [Role(role) for role in roles], time.time_ns())
    click.echo(json.dumps({"name": name, "roles": roles, "token": token}) if as_json else token)
    return 0


@command.command(name="list")
@common
def list_(config: str | None, state: str | None, as_json: bool) -> int:
    """List tokens: names, roles, when made and when revoked; never the tokens."""
    from ostiary.cli.table import console, instant, table

    records = _tokens(read_settings(config, state)).records()
    if as_json:
        for record in records:
            click.echo(json.dumps({key: value for key, value in asdict(record).items() if key != "sha256"}))
        return 0
    shown = table("name", "roles", "made (UTC)", "revoked (UTC)")
    for record in records:
        revoked = instant(record.revoked_ns) if record.revoked_ns else ""
        shown.add_row(record.name, ", ".join(record.roles), instant(record.created_ns), revoked)
    console().print(shown if records else "no token yet: `ostiary up` writes the first, or `ostiary token create`")
    return 0


@command.command()
@click.argument("name")
@common
def revoke(name: str, config: str | None, state: str | None, as_json: bool) -> int:
    """Make the token NAME worthless from now on."""
    _tokens(read_settings(config, state)).revoke(name, time.time_ns())
    click.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"{name} is revoked")
    return 0
