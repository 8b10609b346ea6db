"""`ostiary report`: write the HTML report of a run."""

import json
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings


@click.command()
@click.option("--run", "run_id", metavar="ID", help="The run to report on; default: the newest.")
@click.option(
    "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Default: in the state."
)
@common
def command(run_id: str | None, output: Path | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Write the HTML report of a run: one file, no scripts, nothing fetched, pseudonyms only.

    It says who is risky and why, what was decided and proposed, and how to verify the audit log with other tools.

    \b
    Examples:
      ostiary report
      ostiary report --output /tmp/report.html
    """
    from ostiary.reporting import write_report

    path = write_report(read_settings(config, state), output, run_id)
    click.echo(json.dumps({"report": str(path)}) if as_json else f"{path}")
    return 0
