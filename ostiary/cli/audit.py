"""`ostiary audit`: verify or read the audit log."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings


@click.group()
def command() -> None:
    """Verify or read the audit log. Its form is public (C2SP tlog-tiles): other people's tools verify it, too.

    \b
    Examples:
      ostiary audit verify
      ostiary audit verify --since saved-checkpoint
      ostiary audit show --limit 20
    """


@command.command()
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint saved earlier: the log must still hold what it held then.",
)
@click.option(
    "--vkey", metavar="KEY", help="The log's verifier key, got by another way; default: the one beside the log."
)
@common
def verify(since: Path | None, vkey: str | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Verify the whole log: signature, tree, every entry. Exit code 1 if anything was edited, cut or reordered."""
    from compliance.audit import verify as verify_log
    from ostiary.state import AUDIT, existing

    directory = existing(read_settings(config, state)) / AUDIT
    found = verify_log(directory, vkey, since.read_text(encoding="utf-8") if since else None)
    if as_json:
        problems = [asdict(problem) for problem in found.problems]
        click.echo(json.dumps({"ok": found.ok, "size": found.size, "root": found.root.hex(), "problems": problems}))
    elif found.ok:
        click.echo(f"{directory}: {found.size:,} entries, root {found.root.hex()}: verified")
    else:
        for problem in found.problems:
            click.echo(f"{problem.where}: {problem.text} [{problem.code}]", err=True)
        click.echo(f"{directory}: DOES NOT VERIFY", err=True)
    return 0 if found.ok else 1


@command.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="The newest so many.")
@common
def show(limit: int, config: str | None, state: str | None, as_json: bool) -> int:
    """Show the newest entries, oldest of them first. It does not verify."""
    from compliance.audit import LogReader
    from ostiary.cli.table import instant
    from ostiary.state import AUDIT, existing

    log = LogReader.read(existing(read_settings(config, state)) / AUDIT)
    first = max(0, log.size - limit)
    for index, entry in enumerate(log.entries(first, log.size), first):
        if as_json:
            click.echo(json.dumps({"index": index, **asdict(entry)}))
        else:
            facts = json.dumps(entry.facts, ensure_ascii=False)
            click.echo(f"{index:>8}  {instant(entry.ts)}  {entry.kind:<18} {entry.subject} {entry.why} {facts}")
    return 0
