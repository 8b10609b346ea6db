"""`ostiary policy test`: run the tests that a bundle brings."""

import json
from dataclasses import asdict

import click

from ostiary.cli.options import common, read_settings
from ostiary.cli.policy.sources import real_opa


@click.command()
@click.argument("bundle", default="")
@click.option("--no-opa", is_flag=True, help="Do not run them in a real OPA as well, even where `opa` is on PATH.")
@common
def command(bundle: str, no_opa: bool, config: str | None, state: str | None, as_json: bool) -> int:
    """Run the tests of BUNDLE (default: the one in force), in OPA as well where it is. Exit code 1 if one fails.

    \b
    Examples:
      ostiary policy test ./rego
      ostiary policy test --json policy.tar.gz
    """
    from ostiary.deciding import policy_bundle
    from policy.bundles import load_bundle
    from policy.lint import unrepeatable
    from policy.opa_server import real_opa as holding
    from policy.trials import run_tests

    settings = read_settings(config, state)
    found = load_bundle(bundle) if bundle else policy_bundle(settings)
    trials = list(run_tests(found))
    opa = real_opa(no_opa, settings)
    problems = [str(finding) for finding in unrepeatable(found)]
    if opa is not None and not problems:
        with holding(opa, found) as real:
            problems = real.problems()
    failed = [trial for trial in trials if not trial.ok]
    if as_json:
        rows = [asdict(trial) for trial in trials]
        click.echo(
            json.dumps({"ok": not failed and not problems, "tests": rows, "opa": opa is not None, "problems": problems})
        )
    else:
        for trial in failed:
            click.echo(f"{trial.file}: {trial.name}: {trial.text}", err=True)
        for problem in problems:
            click.echo(problem, err=True)
        also = ", in OPA as well" if opa is not None and not problems else ""
        click.echo(f"{len(trials) - len(failed)} of {len(trials)} tests hold{also}")
    return 1 if failed or problems else 0
