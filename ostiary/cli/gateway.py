"""`ostiary gateway`: what gateways and those who ask through them need."""

import json
import secrets

import click

from ostiary.cli.options import common, read_settings


@click.group()
def command() -> None:
    """Give what gateways, and those who ask through them, need.

    \b
    Examples:
      ostiary gateway key robot --group ci     an API key for the subject `robot`
      ostiary gateway enrol alice              one-time codes for alice, at the gate's own step-up page
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


@command.command()
@click.argument("user")
@click.option("--issuer", default="Ostiary", metavar="NAME", help="What the authenticator app calls it.")
@click.option("--remove", is_flag=True, help="Forget the user's codes instead.")
@common
def enrol(user: str, issuer: str, remove: bool, config: str | None, state: str | None, as_json: bool) -> int:
    """Give USER one-time codes for the gate's own step-up page (identity.step_up = "page").

    Prints an otpauth:// address, to be read by USER's authenticator app and by nobody else: it is the secret. USER is
    the subject's name, as tokens, keys or certificates give it. Enrolling again makes the codes of before worthless.
    """
    from ostiary.identity.codes import Codes, EnrolmentError
    from ostiary.sidecar.sealed import open_key
    from policy.identity.totp import address

    directory = read_settings(config, state).gate_path()
    if not (directory / "key").exists():
        raise EnrolmentError(f"no gate has run with {directory}: start one first, so that its files are its own")
    codes = Codes(directory, open_key(directory / "key"))
    if remove:
        codes.remove(user)
        click.echo(json.dumps({"user": user, "removed": True}) if as_json else f"{user} has no codes any more")
        return 0
    text = address(codes.enrol(user), user, issuer)
    click.echo(json.dumps({"user": user, "address": text}) if as_json else text)
    return 0


def _text(value: str | list[str]) -> str:
    """Return a value as TOML writes it: a basic string is a JSON string."""
    return json.dumps(value, ensure_ascii=False)
