"""`ostiary policy diff`: show what another bundle would decide otherwise."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ostiary.cli.options import common, read_settings
from ostiary.cli.policy.sources import MAX_INPUTS, recorded

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from policy.engines.embedded import EmbeddedEngine

EXAMPLES = 5


@click.command()
@click.argument("new")
@click.argument("old", default="")
@click.option(
    "--inputs", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Recorded inputs, one a line as JSON.",
)  # fmt: skip
@click.option(
    "--generate", type=click.IntRange(0, MAX_INPUTS), default=2_000, show_default=True, metavar="N",
    help="Inputs to make up from what both bundles speak of.",
)  # fmt: skip
@common
def command(
    new: str, old: str, inputs: Path | None, generate: int, config: str | None, state: str | None, as_json: bool
) -> int:
    """Show what bundle NEW would decide otherwise than OLD (default: the one in force). Exit code 1 if it does.

    \b
    Examples:
      ostiary policy diff ./rego
      ostiary policy diff new.tar.gz old.tar.gz --inputs decisions.jsonl
    """
    from ostiary.deciding import policy_bundle
    from policy.bundles import load_bundle
    from policy.engines.embedded import EmbeddedEngine
    from policy.generate import documents

    bundles = (load_bundle(old) if old else policy_bundle(read_settings(config, state)), load_bundle(new))
    files = sorted(name for name in {*bundles[0].files, *bundles[1].files}
                   if bundles[0].files.get(name) != bundles[1].files.get(name))  # fmt: skip
    questions = recorded(inputs) + [item for bundle in bundles for item in documents(bundle, generate // 2)]
    before, after = map(EmbeddedEngine, bundles)
    changes: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], Any] = {}
    otherwise = 0
    for question in questions:
        verdicts, same = _compare(before, after, question)
        otherwise += not same
        if verdicts[0] != verdicts[1]:
            changes[verdicts] += 1
            if len(examples) < EXAMPLES:
                examples.setdefault(verdicts, question)
    rows = [{"old": a, "new": b, "inputs": count, "example": examples.get((a, b))}
            for (a, b), count in sorted(changes.items(), key=lambda item: (-item[1], item[0]))]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"files": files, "inputs": len(questions), "otherwise": otherwise, "verdicts": rows}))
        return 1 if otherwise else 0
    click.echo(f"files that differ: {', '.join(files) or 'none'}")
    click.echo(f"{otherwise:,} of {len(questions):,} inputs are answered otherwise")
    for row in rows:
        click.echo(f"{row['old']:>10} -> {row['new']:<10} {row['inputs']:>7,}")
        if row["example"] is not None:
            click.echo(f"            e.g. {json.dumps(row['example'], ensure_ascii=False)}")
    return 1 if otherwise else 0


def _compare(before: "EmbeddedEngine", after: "EmbeddedEngine", question: Any) -> tuple[tuple[str, str], bool]:
    from policy.errors import EvaluationError

    answers: list[Any] = []
    for engine in (before, after):
        try:
            answers.append(engine.evaluate(question))
        except EvaluationError:
            answers.append({})
    old, new = answers
    return (str(old.get("verdict", "none")), str(new.get("verdict", "none"))), old == new
