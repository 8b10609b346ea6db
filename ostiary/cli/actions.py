"""`ostiary actions`: list actions."""

import json
from dataclasses import asdict

import click

from ostiary.cli.names import reveal, reveal_option, spoken
from ostiary.cli.options import common, read_settings
from ostiary.store.reader import Reader


@click.command()
@click.option("--in", "wanted", metavar="STATE", help="Only proposed, refused, active, expired, undone or failed.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@reveal_option
@common
def command(
    wanted: str | None, limit: int, purpose: str | None, config: str | None, state: str | None, as_json: bool
) -> int:
    """List actions, the newest first: what was done or would have been, to whom, for how long, how to undo it.

    \b
    Examples:
      ostiary actions
      ostiary actions --in active --json
    """
    from ostiary.state import STORE, existing

    settings = read_settings(config, state)
    with Reader.open(existing(settings) / STORE) as reader:
        items = reader.actions(state=wanted, limit=limit).items
    names = reveal(settings, [item.pseudonym for item in items], purpose) if purpose is not None else {}
    if as_json:
        for item in items:
            name = {"name": names[item.pseudonym]} if item.pseudonym in names else {}
            click.echo(json.dumps({**asdict(item), **name}))
        return 0
    from ostiary.cli.table import console, instant, table

    shown = table("at (UTC)", "state", "target", "lease", "reason", "impact", "undo")
    for item in items:
        shown.add_row(
            instant(item.ts), item.state, names.get(item.pseudonym, item.pseudonym), f"{item.lease_s:.0f} s",
            spoken(item.reason, names), spoken(item.impact, names), spoken(item.undo, names),
        )  # fmt: skip
    console().print(shown if items else "no action")
    return 0
