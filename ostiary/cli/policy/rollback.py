"""`ostiary policy rollback`: go back to the bundle that was in force before."""

import json
from dataclasses import asdict

import click

from ostiary.cli.options import common, read_settings


@click.command()
@common
def command(config: str | None, state: str | None, as_json: bool) -> int:
    """Go back to the bundle that was in force before this one; done twice, it comes forward again.

    The highest epoch stays where it was: an old bundle still cannot be activated anew.

    \b
    Examples:
      ostiary policy rollback
      ostiary policy rollback && systemctl reload ostiary
    """
    from ostiary.deciding import POLICY
    from policy.activation import Activations
    from policy.signing import read_public_keys

    settings = read_settings(config, state)
    kept = Activations(settings.state_path() / POLICY, read_public_keys(settings.policy.signers)).roll_back()
    if as_json:
        click.echo(json.dumps(asdict(kept)))
    else:
        epoch = "" if kept.epoch is None else f", epoch {kept.epoch}"
        click.echo(f"revision {kept.revision[:16]}{epoch} is in force again; a running service takes it with SIGHUP")
    return 0
