"""`ostiary policy activate`: judge a bundle and take it into force."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostiary.cli.options import common, read_settings
from ostiary.cli.policy.check import told
from ostiary.cli.policy.sources import judging, known, real_opa
from ostiary.cli.policy.what_if import Span
from ostiary.settings import Settings

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from policy.bundles import Bundle
    from policy.judge import Judgement


@click.command()
@click.argument("bundle")
@judging
@click.option(
    "--max-newly-denied", type=click.IntRange(0), metavar="COUNT",
    help="Refuse it where it would deny more of the recorded decisions anew (see what-if).",
)  # fmt: skip
@click.option(
    "--since", type=Span(), default="all", show_default=True, metavar="SPAN",
    help="Only decisions so much older than the newest at most: 30m, 12h, 7d, 2w.",
)  # fmt: skip
@common
def command(
    bundle: str, inputs: Path | None, generate: int, no_opa: bool, max_newly_denied: int | None, since: float | None,
    config: str | None, state: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Judge BUNDLE and take it into force. Whatever speaks against it, the bundle in force stays; then exit code 1.

    BUNDLE may be an address (https:// or http://) where `policy.signers` is set; what did not change is not fetched
    again. A running service takes it with SIGHUP, without losing a request.

    \b
    Examples:
      ostiary policy activate policy.tar.gz
      ostiary policy activate next --max-newly-denied 10 --since 7d
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
    inputs_known = known(inputs, settings)
    activations = Activations(directory, read_public_keys(settings.policy.signers))
    fetched = activations.fetch(bundle) if is_address(bundle) else (load_bundle(bundle), "")
    if fetched is None:
        click.echo(
            json.dumps({"ok": True, "unchanged": True}) if as_json else f"{bundle} is in force and has not changed"
        )
        return 0

    def judge(found: "Bundle") -> "Judgement":
        judgement = judge_apart(found, inputs_known, real_opa(no_opa, settings), generate)
        if max_newly_denied is None or not judgement.ok:
            return judgement
        return replace(judgement, problems=_denied_anew(settings, found, since, max_newly_denied))

    judgement = activations.activate(fetched[0], judge, bundle if is_address(bundle) else "", fetched[1])
    if as_json:
        click.echo(json.dumps({"ok": True, **asdict(judgement)}))
    else:
        click.echo(told(judgement))
        click.echo("it is in force; a running service takes it with SIGHUP (systemctl reload ostiary)")
    return 0


def _denied_anew(settings: Settings, bundle: "Bundle", since: float | None, most: int) -> tuple[str, ...]:
    """Return what speaks against a bundle that denies too much of what was recorded."""
    from ostiary.replay import Replay, replay
    from ostiary.state import existing

    found = replay(Replay(existing(settings), bundle, since)).newly_denied
    if found.decisions <= most:
        return ()
    people = f"{found.decisions:,} recorded decisions on {len(found.people):,} people and machines"
    return (f"{people} would be denied anew, more than {most:,} (ostiary policy what-if shows them)",)
