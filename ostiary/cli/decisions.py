"""`ostiary decisions`: list what the policy decided, and why."""

import json
from dataclasses import asdict

import click

from ostiary.cli.names import candidates, reveal, reveal_option, spoken
from ostiary.cli.options import common, read_settings
from ostiary.store.reader import Reader
from ostiary.store.records import DecisionRecord, Page

VERDICTS = ("allow", "throttle", "step_up", "deny", "isolate")


@click.command()
@click.option("--entity", metavar="ENTITY", help="Only those on this address, name or pseudonym.")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only those with this verdict.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--after", default="", metavar="CURSOR", help="Go on after this cursor of the previous answer.")
@click.option("--again", metavar="ID|all", help="Make this recorded decision again, and compare; needs --purpose.")
@click.option("--purpose", "again_for", default="", metavar="PURPOSE", help="What --again is for; it is audited.")
@reveal_option
@common
def command(
    entity: str | None, verdict: str | None, limit: int, after: str, again: str | None, again_for: str,
    purpose: str | None, config: str | None, state: str | None, as_json: bool,
) -> int:  # fmt: skip
    """List decisions, the newest first: verdict, reasons, the evidence, and the policy and model that decided.

    \b
    Examples:
      ostiary decisions --verdict deny
      ostiary decisions --entity 203.0.113.9 --json
      ostiary decisions --again all --purpose "yearly audit"
    """
    from ostiary.showing import Showing
    from ostiary.state import STORE, existing

    settings = read_settings(config, state)
    if again is not None:
        from ostiary.cli.again import show_again

        return show_again(settings, again, again_for, as_json)
    with Reader.open(existing(settings) / STORE) as reader:
        wanted = candidates(settings, entity) if entity else (None,)
        pages = [reader.decisions(entity=name, verdict=verdict, limit=limit, after=after) for name in wanted]
    page = next((page for page in pages if page.items), pages[0])
    page = Page(tuple(map(Showing(lambda: settings).shown, page.items)), page.next)
    names = reveal(settings, [item.pseudonym for item in page.items], purpose) if purpose is not None else {}
    if as_json:
        for item in page.items:
            name = {"name": names[item.pseudonym]} if item.pseudonym in names else {}
            click.echo(json.dumps({**asdict(item), **name}))
    else:
        _show(page.items, names)
    if page.next:
        click.echo(f"more: ostiary decisions --after {page.next}", err=True)
    return 0


def _show(items: tuple[DecisionRecord, ...], names: dict[str, str]) -> None:
    from rich.text import Text

    from ostiary.cli.table import VERDICT_STYLES, console, instant, place, table

    shown = table("at (UTC)", "decided", "because", "entity", "where", "evidence", "policy", "model")
    for item in items:
        shown.add_row(
            instant(item.ts), Text(item.verdict, VERDICT_STYLES.get(item.verdict, "")),
            item.reasons[0][0] if item.reasons else "", names.get(item.pseudonym, item.pseudonym),
            place(item.source, item.seq), spoken(item.text, names), item.policy_revision[:8], item.model_revision[:8],
        )  # fmt: skip
    console().print(shown if items else "no such decision")
