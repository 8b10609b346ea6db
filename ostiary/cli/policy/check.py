"""`ostiary policy check`: judge a bundle without taking it into force."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostiary.cli.options import common, read_settings
from ostiary.cli.policy.sources import judging, known, real_opa

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from policy.judge import Judgement


@click.command()
@click.argument("bundle", default="")
@judging
@common
def command(
    bundle: str, inputs: Path | None, generate: int, no_opa: bool, config: str | None, state: str | None, as_json: bool
) -> int:
    """Judge BUNDLE (default: the one in force) without taking it into force. Exit code 1 if anything speaks against it.

    \b
    Examples:
      ostiary policy check ./rego
      ostiary policy check policy.tar.gz --inputs decisions.jsonl --generate 20000
    """
    from ostiary.deciding import policy_bundle
    from policy.bundles import load_bundle
    from policy.judge import judge_apart

    settings = read_settings(config, state)
    found = load_bundle(bundle) if bundle else policy_bundle(settings)
    judgement = judge_apart(found, known(inputs, settings), real_opa(no_opa, settings), generate)
    if as_json:
        click.echo(json.dumps({"ok": judgement.ok, **asdict(judgement)}))
        return 0 if judgement.ok else 1
    for problem in judgement.problems:
        click.echo(problem, err=True)
    if judgement.ok:
        click.echo(told(judgement))
    return 0 if judgement.ok else 1


def told(judgement: "Judgement") -> str:
    """Return a good judgement in a line."""
    opa = "OPA agrees" if judgement.opa else "OPA was not asked: it is not on PATH, or not wanted"
    epoch = "" if judgement.epoch is None else f", epoch {judgement.epoch}"
    return (
        f"revision {judgement.revision[:16]}{epoch}: {judgement.tests} tests hold, "
        f"{judgement.inputs:,} inputs are decided; {opa}"
    )
