"""`ostiary entities`: list entities by risk."""

import json
from dataclasses import asdict

import click

from ostiary.cli.names import reveal, reveal_option, spoken
from ostiary.cli.options import common, read_settings


@click.command()
@click.option("--min-risk", type=click.FloatRange(0, 1), default=0.0, help="Only entities of at least this risk.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@reveal_option
@common
def command(
    min_risk: float, limit: int, purpose: str | None, config: str | None, state: str | None, as_json: bool
) -> int:
    """List the entities of the newest run, riskiest first, each at its worst. Names are pseudonyms.

    \b
    Examples:
      ostiary entities --min-risk 0.6
      ostiary entities --reveal "incident 12"
      ostiary entities --json | jq .pseudonym
    """
    from ostiary.state import STORE, existing
    from ostiary.store.reader import Reader

    settings = read_settings(config, state)
    with Reader.open(existing(settings) / STORE) as reader:
        found = reader.entities(min_risk=min_risk, limit=limit).items
    names = reveal(settings, [entity.pseudonym for entity in found], purpose) if purpose is not None else {}
    if as_json:
        for entity in found:
            plain = {"name": names[entity.pseudonym]} if entity.pseudonym in names else {}
            click.echo(json.dumps({**asdict(entity), **plain}))
        return 0
    from ostiary.cli.table import console, instant, joined, table

    shown = table("risk", "level", "entity", "decided", "at (UTC)", "why")
    for entity in found:
        texts = joined([spoken(text, names) for text in entity.texts], 2)
        name = names.get(entity.pseudonym, entity.pseudonym)
        shown.add_row(f"{entity.risk:.2f}", entity.level, name, entity.verdict, instant(entity.ts), texts)
    console().print(shown if found else "no entity gave a reason to trust it less")
    return 0
