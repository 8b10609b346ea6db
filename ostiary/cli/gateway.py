"""`ostiary gateway`: what gateways and those who ask through them need."""

import json
import secrets
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings

NAMES = ("nginx", "caddy", "traefik", "haproxy", "envoy", "envoy-grpc", "envoy-tcp")


@click.group()
def command() -> None:
    """Give what gateways, and those who ask through them, need.

    \b
    Examples:
      ostiary gateway config nginx             a complete configuration, with this installation's addresses
      ostiary gateway key robot --group ci     an API key for the subject `robot`
      ostiary gateway enrol alice              one-time codes for alice, at the gate's own step-up page
    """


@command.command()
@click.argument(
    "gateway", type=click.Choice(("nginx", "caddy", "traefik", "haproxy", "envoy", "envoy-grpc", "envoy-tcp"))
)
@click.option(
    "--gate", default="", metavar="ADDRESS", help="Where the gate answers (settings: gate.listen, grpc, spoe)."
)
@click.option("--application", default="", metavar="HOST:PORT", help="Where your application answers.")
@click.option("--listen", type=click.IntRange(1, 65_535), help="Port on which the gateway listens.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write the files into this directory.")
@common
def config(
    gateway: str, gate: str, application: str, listen: int | None, out: Path | None, config: str | None,
    state: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Print a complete, commented configuration for GATEWAY that asks this installation's gate.

    With --out the files are written; a file that is there already is left alone, and that is an error.

    \b
    Examples:
      ostiary gateway config caddy --application 127.0.0.1:3000 > Caddyfile
      ostiary gateway config haproxy --out /etc/haproxy

    \b
    Exit codes: 0 done, 1 wrong settings, 2 wrong usage, 4 an address that the gateway cannot use, or a file in the way.
    """
    from ostiary.gateways import GATEWAYS, configuration

    asks = GATEWAYS[gateway].asks
    settings = read_settings(config, state).gate
    address = gate or getattr(settings, asks)
    found = configuration(gateway, address, application, listen or 0, settings.listen)
    if not address:
        click.echo(f"[gate] {asks} is not set: the gate doesn't answer {gateway} yet", err=True)
    if out is not None:
        written = _write(out, found)
    if as_json:
        click.echo(json.dumps({"files": found} if out is None else {"written": written}))
    elif out is not None:
        click.echo("\n".join(written))
    else:
        click.echo(
            "\n".join(f"# ---- {name}\n{text}" if len(found) > 1 else text for name, text in found.items()), nl=False
        )
    return 0


def _write(folder: Path, found: dict[str, str]) -> list[str]:
    from ostiary.gateways import GatewayError

    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            written.append(str(folder / name))
    except OSError as error:
        raise GatewayError(f"{error.filename or folder}: {error.strerror or error}") from error
    return written


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
