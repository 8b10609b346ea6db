"""`ostiary model`: say what the model of the running or the last service is made of."""

import json
from collections.abc import Mapping
from typing import Any  # JSON values

import click

from ostiary.cli.options import common, read_settings
from ostiary.errors import NotFoundError


@click.command()
@common
def command(config: str | None, state: str | None, as_json: bool) -> int:
    """Say which sources and times taught the model, from which state it began, and which labels it has heard.

    It is as of the last time that the service saved its state: every ten minutes, and at its end.

    \b
    Examples:
      ostiary model
      ostiary model --json | jq .revision
    """
    from ostiary.keeping import MODEL
    from ostiary.state import existing

    file = existing(read_settings(config, state)) / MODEL
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFoundError("no service has saved a model here yet: `ostiary up` does, every ten minutes") from error
    if as_json:
        click.echo(text)
    else:
        _show(json.loads(text))
    return 0


def _show(model: Mapping[str, Any]) -> None:
    from ostiary.cli.table import console, instant, table

    out = console()
    out.print(f"model {model['revision']}, code {model['code_version']}, saved at {instant(model['saved_ns'])} UTC")
    began = f"state {model['began_with']}" if model["began_with"] else "nothing"
    out.print(f"it began with {began} and is state {model['state']} now ({model['bytes']:,} bytes)")
    held = f", {len(model['held_back'])} of them held back" if model["held_back"] else ""
    grown = ", and a forest grown from them" if model["forest"] else ""
    out.print(f"it has heard {len(model['labels'])} labels{held}{grown}")
    shown = table("source", "from (UTC)", "to (UTC)", "rows")
    for span in model["sources"]:
        rows = f"{span['rows']:,}"
        shown.add_row(span["source"] or "others", instant(span["first_ts"]), instant(span["last_ts"]), rows)
    out.print(shown)
