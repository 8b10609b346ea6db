"""`ostiary budget`: what the alarm budget gave, and what stricter and looser ones would have given."""

import json

import click

from ostiary.cli.options import common, read_settings
from ostiary.errors import NotFoundError


@click.command()
@common
def command(config: str | None, state: str | None, as_json: bool) -> int:
    """Say how many alarms of the models a day there were in the last week, and how many other budgets would have given.

    Alarms on whom other evidence speaks against aren't counted: they are no false ones. It is as of the last time that
    the service saved its state: every ten minutes, and at its end. `risk.alarm_budget_per_day` sets it.

    \b
    Examples:
      ostiary budget
      ostiary budget --json | jq '.rungs[].per_day'
    """
    from ostiary.keeping import MODEL
    from ostiary.state import existing

    settings = read_settings(config, state)
    try:
        found = json.loads((existing(settings) / MODEL).read_text("utf-8"))["budget"]
    except (FileNotFoundError, KeyError) as error:
        raise NotFoundError("no service has counted alarms here yet: `ostiary up` does") from error
    if as_json:
        click.echo(json.dumps(found))
        return 0
    from ostiary.cli.table import console, table

    shown = table("budget a day", "alarms", "a day", "told from p below", title=_title(found["days"]))
    for rung in found["rungs"]:
        mark = " (set)" if rung["budget_per_day"] == settings.risk.alarm_budget_per_day else ""
        shown.add_row(
            f"{rung['budget_per_day']:g}{mark}", str(rung["alarms"]), f"{rung['per_day']:.1f}", f"{rung['p_value']:.2g}"
        )
    console().print(shown)
    return 0


def _title(days: float) -> str:
    return (
        f"What each budget gave in {days:.1f} days" if days >= 1 else f"What each budget gave in {days * 24:.1f} hours"
    )
