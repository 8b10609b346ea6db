"""`ostiary reference`: what normal traffic looks like here: train it, take it into force, go back."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings


@click.group()
def command() -> None:
    """Show, train, activate or take back the reference of normal traffic that stands beside the models.

    The shipped one was trained on traffic that the project recorded. Replace it by your own after a quiet week.

    \b
    Examples:
      ostiary reference show
      ostiary reference train week/*.pcap --about "office, first week of May" --into office.npz
      ostiary reference activate office.npz --why "looked through by the night shift"
    """


@command.command()
@common
def show(config: str | None, state: str | None, as_json: bool) -> int:
    """Say which reference is in force, and which one it would go back to.

    \b
    Examples:
      ostiary reference show
      ostiary reference show --json | jq .digest
    """
    from ostiary.referring import standing

    found = standing(read_settings(config, state))
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return 0
    click.echo(
        f"{found.origin} reference {found.digest}: {found.rows:,} flows, {found.about}" if found.digest else "none"
    )
    if found.way_back:
        click.echo(f"`ostiary reference revert` goes back to {found.way_back}")
    return 0


@command.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--into", metavar="FILE", required=True, help="Where to write it.")
@click.option("--about", metavar="TEXT", required=True, help="Where the traffic came from, in words.")
@common
def train(
    files: tuple[str, ...], into: str, about: str, config: str | None, state: str | None, as_json: bool
) -> int:  # fmt: skip
    """Train a reference on captures and flow logs of traffic that is known to be honest. It is not yet in force.

    \b
    Examples:
      ostiary reference train week/*.pcap --about "office, first week of May" --into office.npz
      ostiary reference train conn.log --about "Zeek, branch" --into branch.npz --json
    """
    from ostiary.judge import open_inputs
    from ostiary.referring import train as trained

    settings = read_settings(config, state)
    sources = open_inputs(files, "", settings, time.time_ns())
    reference = trained([source.batches() for source in sources], settings.risk, about)
    Path(into).write_bytes(reference.to_bytes())
    told = {"digest": reference.digest, "rows": reference.rows, "file": into}
    click.echo(json.dumps(told) if as_json else f"{into}: reference {reference.digest} of {reference.rows:,} flows")
    return 0


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--why", metavar="TEXT", required=True, help="For the audit log: who approved it, and why.")
@common
def activate(file: Path, why: str, config: str | None, state: str | None, as_json: bool) -> int:
    """Take FILE into force with the next start of the service; the models begin anew beside it.

    \b
    Examples:
      ostiary reference activate office.npz --why "looked through by the night shift"
      ostiary reference activate office.npz --why "change 4711" --json
    """
    from ostiary.referring import activate as take
    from ostiary.referring import read_reference

    reference = read_reference(file)
    take(read_settings(config, state), reference, why)
    told = f"reference {reference.digest} is in force with the next start"
    click.echo(json.dumps({"digest": reference.digest}) if as_json else told)
    return 0


@command.command()
@click.option("--why", metavar="TEXT", required=True, help="For the audit log.")
@common
def revert(why: str, config: str | None, state: str | None, as_json: bool) -> int:
    """Go back to the reference before, the shipped one where there was none.

    \b
    Examples:
      ostiary reference revert --why "it was trained on a scan"
      ostiary reference revert --why "change 4712" --json
    """
    from ostiary.referring import revert as go_back
    from ostiary.referring import standing

    settings = read_settings(config, state)
    go_back(settings, why)
    found = standing(settings)
    told = f"{found.origin} reference {found.digest} is in force with the next start"
    click.echo(json.dumps(asdict(found)) if as_json else told)
    return 0
