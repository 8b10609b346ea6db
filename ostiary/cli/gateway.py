"""`ostiary gateway`: what gateways and those who ask through them need."""

import json
import secrets

import click


@click.group()
def command() -> None:
    """Give what gateways, and those who ask through them, need.

    \b
    Examples:
      ostiary gateway key robot --group ci     an API key for the subject `robot`
    """


@command.command()
@click.argument("name")
@click.option("--group", "groups", multiple=True, help="A group of its holder's; give it several times for several.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def key(name: str, groups: tuple[str, ...], as_json: bool) -> int:
    """Make an API key for the subject NAME and print it, with the settings that let it in.

    The key is nowhere kept and cannot be shown again: hand it over, and put the settings into ostiary.toml. To change a
    key, list the digests of both until the old one is out of use.
    """
    from policy.identity.apikeys import PREFIX, digest

    if not name.strip() or not name.isprintable():
        raise click.UsageError("NAME is the subject's name: printable, and not empty")
    text = PREFIX + secrets.token_urlsafe(32)
    if as_json:
        click.echo(json.dumps({"name": name, "groups": groups, "key": text, "sha256": digest(text)}))
        return 0
    click.echo(text)
    click.echo(f"\n[identity.keys.{_text(name)}]\nsha256 = {_text([digest(text)])}", err=True)
    if groups:
        click.echo(f"groups = {_text(list(groups))}", err=True)
    return 0


def _text(value: str | list[str]) -> str:
    """Return a value as TOML writes it: a basic string is a JSON string."""
    return json.dumps(value, ensure_ascii=False)
