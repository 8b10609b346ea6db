"""`ostiary policy activate`: judge a bundle and take it into force."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings
from ostiary.cli.policy.check import told
from ostiary.cli.policy.sources import judging, real_opa, recorded


@click.command()
@click.argument("bundle")
@judging
@common
def command(
    bundle: str, inputs: Path | None, generate: int, no_opa: bool, config: str | None, state: str | None, as_json: bool
) -> int:
    """Judge BUNDLE and take it into force. Whatever speaks against it, the bundle in force stays; then exit code 1.

    BUNDLE may be an address (https:// or http://) where `policy.signers` is set; what did not change is not fetched
    again. A running service takes it with SIGHUP, without losing a request.

    \b
    Examples:
      ostiary policy activate policy.tar.gz
      ostiary policy activate ./rego && systemctl reload ostiary
      ostiary policy activate https://policies.example.org/ostiary.tar.gz
    """
    from ostiary.deciding import POLICY
    from ostiary.state import make_directory
    from policy.activation import Activations
    from policy.bundles import load_bundle
    from policy.download import is_address
    from policy.judge import judge_apart
    from policy.signing import read_public_keys

    settings = read_settings(config, state)
    directory = make_directory(settings.state_path()) / POLICY
    known = recorded(inputs)
    activations = Activations(directory, read_public_keys(settings.policy.signers))
    fetched = activations.fetch(bundle) if is_address(bundle) else (load_bundle(bundle), "")
    if fetched is None:
        click.echo(
            json.dumps({"ok": True, "unchanged": True}) if as_json else f"{bundle} is in force and has not changed"
        )
        return 0
    judgement = activations.activate(
        fetched[0],
        lambda found: judge_apart(found, known, real_opa(no_opa, settings), generate),
        bundle if is_address(bundle) else "",
        fetched[1],
    )
    if as_json:
        click.echo(json.dumps({"ok": True, **asdict(judgement)}))
    else:
        click.echo(told(judgement))
        click.echo("it is in force; a running service takes it with SIGHUP (systemctl reload ostiary)")
    return 0
