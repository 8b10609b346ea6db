"""`ostiary forecast`: what the next hour brings to the running service."""

import json
from collections.abc import Mapping, Sequence
from typing import Any  # JSON values

import click

from ostiary.cli.asking import ask, token_option
from ostiary.cli.options import common, read_settings

TITLES = {"load": "rows a minute", "evidence": "evidence a minute", "alarms": "alarms", "entities": "new entities"}


@click.command()
@token_option
@common
def command(token_file: str | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Say what the next hour brings: load with bands, how many engines it needs, and what will overflow when.

    The busiest addresses are shown as pseudonyms.

    \b
    Examples:
      ostiary forecast
      ostiary forecast --json | jq .overflows
    """
    found = ask(read_settings(config, state), token_file, "GET", "/forecast")
    if as_json:
        click.echo(json.dumps(found))
    else:
        _show(found)
    return 0


def _show(found: Mapping[str, Any]) -> None:
    from ostiary.cli.table import console, table

    out = console()
    for each in found["overflows"]:
        out.print(f"in {each['minutes']:g} minutes {each['text']}", style="bold")
    if not found["overflows"]:
        out.print("nothing overflows within the hour")
    needs = f"{found['workers']} at most, {found['use']:.0%} of one" if found["workers"] else "not measured yet"
    out.print(f"engines that the hour needs: {needs}; seen so far: {found['minutes_seen']} minutes")
    minutes = [each["minutes"] for each in found["load"]]
    shown = table("", *(f"in {each} min" for each in minutes), title="Nine of ten minutes lie in the range")
    for name, title in TITLES.items():
        shown.add_row(title, *_cells(found[name]))
    for name, ahead in found["hosts"].items():
        shown.add_row(name, *_cells(ahead))
    out.print(shown)


def _cells(ahead: Sequence[Mapping[str, float]]) -> list[str]:
    return [f"{each['value']:,.1f} ({each['low']:,.0f} to {each['high']:,.0f})" for each in ahead]
