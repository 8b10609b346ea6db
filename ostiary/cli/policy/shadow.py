"""`ostiary policy shadow`: what the bundle beside the active one decided otherwise."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ostiary.cli.options import common, read_settings

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from ostiary.store import ShadowDifference, ShadowGroup

OUTCOMES = ("same", "different", "failed")
UNLOADED = "a shadow that could not be loaded"


@click.command()
@click.option("--revision", metavar="HEX", help="Only the shadow whose revision begins so; default: all.")
@click.option(
    "--limit", type=click.IntRange(0, 1000), default=5, show_default=True, help="At most so many differences of each."
)
@common
def command(revision: str | None, limit: int, config: str | None, state: str | None, as_json: bool) -> int:
    """Summarise what the bundle beside the active one (settings: policy.shadow) decided otherwise: how often, on which
    routes, on how many people and machines, with the newest examples.

    \b
    Examples:
      ostiary policy shadow
      ostiary policy shadow --limit 100 --json
    """
    from ostiary.state import STORE, existing
    from ostiary.store import Reader

    with Reader.open(existing(read_settings(config, state)) / STORE) as store:
        totals = store.shadow_totals()
        wanted = [shadow for shadow in totals if shadow.startswith(revision or "")]
        pruned = store.pruned()["shadow_differences"]
        for shadow in wanted:
            groups = store.shadow_groups(shadow)
            newest = store.shadow_differences(shadow, limit).items if limit else ()
            if as_json:
                counts = {outcome: totals[shadow].get(outcome, 0) for outcome in OUTCOMES}
                row = {"revision": shadow, **counts, "pruned": pruned, "groups": [asdict(group) for group in groups]}
                click.echo(json.dumps(row | {"differences": [asdict(item) for item in newest]}))
            else:
                _show(shadow, totals[shadow], groups, newest)
    if not wanted and not as_json:
        click.echo("no shadow was asked (settings: policy.shadow)")
    if pruned and not as_json:
        click.echo(f"{pruned:,} older differences were pruned; the counts have them")
    return 0


def _show(
    shadow: str, totals: dict[str, int], groups: "tuple[ShadowGroup, ...]", newest: "tuple[ShadowDifference, ...]"
) -> None:
    from ostiary.cli.table import console, instant, table

    out = console()
    counts = ", ".join(f"{totals.get(outcome, 0):,} {outcome}" for outcome in OUTCOMES)
    out.print(f"{f'shadow {shadow[:8]}' if shadow else UNLOADED}: {counts}")
    shown = table("route", "decided", "shadow", "decisions", "people and machines")
    for group in groups:
        after = group.shadow_verdict or "failed"
        shown.add_row(group.route, group.verdict, after, f"{group.decisions:,}", f"{group.entities:,}")
    if groups:
        out.print(shown)
    for item in newest:
        after = f"{item.shadow_verdict or 'failed'} ({item.shadow_reason})"
        out.print(f"  {instant(item.ts)}  {item.decision_id}  {item.pseudonym}  {item.verdict} -> {after}")
