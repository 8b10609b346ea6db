"""`ostiary policy what-if`: what another policy would have said of the recorded decisions."""

import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ostiary.cli.options import common, read_settings
from ostiary.settings import Settings

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from ostiary.replay import Replay
    from policy.whatif import Group, WhatIf

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
TOP = 10
"""Rows of each table; JSON has them all, up to the bounds of `policy.whatif`."""
MAX_PATCH_BYTES = 1 << 20


class Span(click.ParamType[Any]):
    """A stretch of time such as 7d, in seconds; `all` is None."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        found = re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value))
        if value == "all":
            return None
        if not found:
            self.fail("say it as 30m, 12h, 7d, 2w or all")
        return float(found[1]) * UNITS[found[2]]


class Threshold(click.ParamType[Any]):
    """A risk band and where it begins, such as high=0.6."""

    name = "threshold"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        band, _, number = str(value).partition("=")
        try:
            at_least = float(number)
        except ValueError:
            at_least = -1
        if not band or not 0 <= at_least <= 1:
            self.fail("say it as BAND=NUMBER with a risk of 0 to 1, e.g. high=0.6")
        return band, at_least


@click.command()
@click.argument("bundle", default="", metavar="[BUNDLE]")
@click.option(
    "--since", type=Span(), default="all", show_default=True, metavar="SPAN",
    help="Only decisions so much older than the newest at most: 30m, 12h, 7d, 2w.",
)  # fmt: skip
@click.option(
    "--risk-threshold", "bands", type=Threshold(), multiple=True, metavar="BAND=NUMBER",
    help="Let a risk band of the bundle begin here, e.g. high=0.6.",
)  # fmt: skip
@click.option(
    "--alarm-budget", type=click.FloatRange(0), metavar="COUNT",
    help="Let the band that refuses begin where so many entities a day would have reached it.",
)  # fmt: skip
@click.option(
    "--patch", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="JSON Patch (RFC 6902) of the bundle's data.",
)  # fmt: skip
@click.option(
    "--max-newly-denied", type=click.IntRange(0), metavar="COUNT", help="Exit code 1 where more would be denied anew."
)
@click.option(
    "--purpose", default="", metavar="PURPOSE",
    help="Read the plain names, for this purpose, so that rules on them apply; it is audited.",
)  # fmt: skip
@common
def command(
    bundle: str, since: float | None, bands: tuple[tuple[str, float], ...], alarm_budget: float | None,
    patch: Path | None,
    max_newly_denied: int | None, purpose: str, config: str | None, state: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Decide the recorded decisions again with BUNDLE (default: the one in force), and say what would change.

    Nothing changes by it. Denied means deny or isolate. Without --purpose names stay pseudonyms: rules on an address
    or an identity don't apply.

    \b
    Examples:
      ostiary policy what-if /etc/ostiary/next --since 7d
      ostiary policy what-if --risk-threshold high=0.6
      ostiary policy what-if --alarm-budget 5 --since 7d
      ostiary policy what-if next --max-newly-denied 0 --purpose "change 31"
    """
    from ostiary.deciding import policy_bundle
    from ostiary.replay import Replay, budget_start
    from ostiary.state import existing
    from policy.bundles import load_bundle
    from policy.patch import budget, patched, thresholds

    settings = read_settings(config, state)
    directory = existing(settings)
    proposed = load_bundle(bundle) if bundle else policy_bundle(settings)
    operations = _patch(patch) + thresholds(proposed, dict(bands)) if bands else _patch(patch)
    if alarm_budget is not None:
        start = budget_start(directory, since, alarm_budget)
        operations += budget(proposed, start)
        click.echo(f"{alarm_budget:g} a day: the band `high` begins at {start:g}", err=True)
    if operations:
        proposed = patched(proposed, operations)
    if purpose.strip():
        _audited(settings, purpose, proposed.revision)
    found = _with_progress(Replay(directory, proposed, since, bool(purpose.strip())))
    _say(found, proposed.revision, bool(purpose.strip()), as_json)
    denied = found.newly_denied.decisions
    if max_newly_denied is not None and denied > max_newly_denied:
        click.echo(f"{denied:,} would be denied anew, more than {max_newly_denied:,}", err=True)
        return 1
    return 0


def _patch(file: Path | None) -> list[Any]:
    from policy.errors import BundleError

    if file is None:
        return []
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_PATCH_BYTES + 1)
        operations = json.loads(raw) if len(raw) <= MAX_PATCH_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} is no JSON Patch: {error}") from error
    if not isinstance(operations, list):
        raise BundleError(f"{file} is no JSON Patch: a list of operations of at most {MAX_PATCH_BYTES} bytes")
    return operations


def _audited(settings: Settings, purpose: str, revision: str) -> None:
    from ostiary.cli.names import reading

    with reading(settings, "compared a policy with recorded decisions", f"policy {revision}", purpose):
        pass


def _with_progress(what: "Replay") -> "WhatIf":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ostiary.replay import replay

    columns = (TextColumn("Deciding again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        return replay(what, lambda done, total: bar.update(task, completed=done, total=total))


def _say(found: "WhatIf", revision: str, plain: bool, as_json: bool) -> None:
    note = "" if plain else "Names stayed pseudonyms: rules on an address or an identity did not apply (--purpose)."
    if as_json:
        changes = [{"before": a, "after": b, "decisions": n} for (a, b), n in found.changes.most_common()]
        groups = {name: _group(getattr(found, name)) for name in ("newly_denied", "newly_allowed")}
        row = {
            "policy_revision": revision, "decisions": found.decisions, "no_longer_repeatable": found.gone,
            "failed": dict(found.failed), "changes": changes, **groups, "names_read": plain,
        }  # fmt: skip
        click.echo(json.dumps(row))
        return
    click.echo(f"{found.decisions:,} decisions decided again by policy {revision[:8]}")
    if found.gone:
        click.echo(f"{found.gone:,} are no longer repeatable and were left out")
    for code, count in found.failed.most_common():
        click.echo(f"the policy fails on {count:,} [{code}]; they count as denied")
    if note:
        click.echo(note)
    _tables(found)


def _group(group: "Group") -> dict[str, Any]:
    return {
        "decisions": group.decisions, "people": len(group.people), "routes": dict(group.routes.most_common()),
        "entities": dict(group.entities.most_common()), "networks": dict(group.networks.most_common()),
        "reasons": dict(group.reasons.most_common()), "examples": [asdict(example) for example in group.examples],
    }  # fmt: skip


def _tables(found: "WhatIf") -> None:
    from ostiary.cli.table import console, table

    out = console()
    if not found.changes:
        out.print("nothing would change")
        return
    changes = table("before", "after", "decisions", title="What would change")
    for (before, after), count in found.changes.most_common():
        changes.add_row(before, after, f"{count:,}")
    out.print(changes)
    for name, group in (("Newly denied", found.newly_denied), ("Newly allowed", found.newly_allowed)):
        out.print(f"{name}: {group.decisions:,} decisions on {len(group.people):,} people and machines")
        for kind in ("routes", "entities", "networks", "reasons"):
            if counted := getattr(group, kind):
                out.print(f"  {kind}: {_top(counted)}")
        for example in group.examples[:3]:
            out.print(f"  e.g. {example.id}: {example.before} -> {example.after} ({example.because}), {example.route}")


def _top(counter: "Counter[str]") -> str:
    shown = ", ".join(f"{key} {count:,}" for key, count in counter.most_common(TOP))
    return shown + (f", and {len(counter) - TOP} more" if len(counter) > TOP else "")
