"""`ostiary policy bench`: measure how long a bundle takes to decide."""

import json
import time
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings
from ostiary.cli.policy.sources import recorded


@click.command()
@click.argument("bundle", default="")
@click.option(
    "--inputs", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Recorded inputs, one a line as JSON; default: made up.",
)  # fmt: skip
@click.option(
    "--count", type=click.IntRange(100, 1_000_000), default=5_000, show_default=True, help="Decisions to make."
)
@common
def command(bundle: str, inputs: Path | None, count: int, config: str | None, state: str | None, as_json: bool) -> int:
    """Measure decisions of BUNDLE (default: the one in force), input encoding and result decoding included.

    \b
    Examples:
      ostiary policy bench ./rego
      ostiary policy bench --inputs decisions.jsonl --count 50000
    """
    from ostiary.deciding import policy_bundle
    from policy.bundles import load_bundle
    from policy.engines.embedded import EmbeddedEngine
    from policy.errors import EvaluationError
    from policy.generate import documents

    found = load_bundle(bundle) if bundle else policy_bundle(read_settings(config, state))
    start = time.perf_counter()
    engine = EmbeddedEngine(found)
    loading_s = time.perf_counter() - start
    questions = recorded(inputs) or list(documents(found, 1_000))
    taken, undecided = [], 0
    for number in range(count):
        start = time.perf_counter()
        try:
            engine.evaluate(questions[number % len(questions)])
        except EvaluationError:
            undecided += 1
        taken.append(time.perf_counter() - start)
    taken.sort()
    row = {
        "revision": found.revision, "decisions": count, "undecided": undecided, "loading_ms": round(loading_s * 1e3, 1),
        "p50_us": round(taken[count // 2] * 1e6, 1), "p99_us": round(taken[count * 99 // 100] * 1e6, 1),
        "per_s": round(count / sum(taken)),
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(row))
    else:
        click.echo(
            f"{count:,} decisions: p50 {row['p50_us']} µs, p99 {row['p99_us']} µs, {row['per_s']:,}/s; "
            f"{undecided} without an answer; loading took {row['loading_ms']} ms"
        )
    return 0
