"""`ostiary sources`: what is read, how far, and what could not be."""

import json
from collections.abc import Mapping
from typing import Any

import click

from ostiary.cli.options import common, read_settings

SKEWED_S = 5.0
SAMPLES_SHOWN = 3


@click.command()
@common
def command(config: str | None, state: str | None, as_json: bool) -> int:
    """Show the sources of the newest run or of the running service: lag, rate, what was read, what was not, and why.

    Lines that could not be read are shown masked. The skew is how far a source's clock is ahead of this machine's.

    \b
    Examples:
      ostiary sources
      ostiary sources --json | jq '{name, lag_s, malformed, dropped}'
      watch ostiary sources
    """
    from ostiary.state import STORE, existing
    from ostiary.store.reader import Reader

    with Reader.open(existing(read_settings(config, state)) / STORE) as reader:
        run = reader.latest_run()
    sources = run.sources if run is not None else ()
    if as_json:
        for source in sources:
            click.echo(json.dumps(source))
        return 0
    _show(sources)
    return 0


def _show(sources: tuple[Mapping[str, Any], ...]) -> None:
    from ostiary.cli.table import console, table

    shown = table(
        "source", "format", "lines/s", "lag", "read", "parsed", "malformed", "ignored", "dropped", "late", "skew"
    )
    for source in sources:
        counts = (source.get(name, 0) for name in ("read", "parsed", "malformed", "ignored", "dropped", "late"))
        shown.add_row(
            source["name"], source["format"], _number(source.get("rate")), _lag(source),
            *(f"{count:,}" for count in counts), _skew(source.get("skew_s")),
        )  # fmt: skip
    out = console()
    out.print(shown if sources else "nothing has been read yet")
    for source in sources:
        for line in _notes(source):
            out.print(line, style="dim", soft_wrap=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _lag(source: Mapping[str, Any]) -> str:
    if "lag_s" not in source:
        return ""
    waiting = source.get("unread", 0)
    return f"{source['lag_s']:.1f} s" + (f", {waiting:,} B" if waiting else "")


def _skew(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:+.1f} s" if abs(seconds) >= SKEWED_S else "none"


def _notes(source: Mapping[str, Any]) -> list[str]:
    name = source["name"]
    notes = [f"  {name}: not read: {source['trouble']}"] if source.get("trouble") else []
    notes += [f"  {name}: {text}" for text in _about_skew(source.get("skew_s"))]
    notes += [
        f"  {name}, byte {fault['offset']:,}: {fault['text']} [{fault['code']}]"
        for fault in source.get("faults", [])[:SAMPLES_SHOWN]
    ]
    return notes + [
        f"  {name}, line {sample['line']:,}: {sample['text']}" for sample in source.get("samples", [])[-SAMPLES_SHOWN:]
    ]


def _about_skew(seconds: float | None) -> list[str]:
    """Say where a skew looks like a time zone: they are whole quarters of an hour."""
    if seconds is None or abs(seconds) < SKEWED_S:
        return []
    quarters = round(seconds / 900)
    if quarters and abs(quarters) <= 56 and abs(seconds - quarters * 900) < 60:
        return [f"its stamps are off by {quarters / 4:+g} h: a time zone? see the setting sensors.sources, `zone`"]
    return [f"its clock is {'ahead' if seconds > 0 else 'behind'} by {abs(seconds):,.0f} s, or its lines come late"]
