"""Write the score card: docs/scorecard.md, docs/scorecard.json and the plots in docs/scorecard/.

    python -m bench.scorecard [--seeds 5] [--into docs]

Rows on the project's own recordings are always made. Rows on labelled data need OSTIARY_LABELLED, the folder of a
MANIFEST.json; without it the card says which rows it lacks. What product code may never do, read that manifest, this
does: it measures.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from bench import scorecard_captures, scorecard_plots, scorecard_tables, scorecard_traffic
from bench.benign import ROOT
from bench.scorecard_metrics import Figure, Row, Vector
from risk.engine import CODE_VERSION

NEEDS_DATA = (
    "ADBench http, online", "NSL-KDD, frozen reference, normal rows only", "NSL-KDD, online, all labels",
    "NSL-KDD, online, 1 % of the labels", "behaviour set", "captures and logs, file by file",
)  # fmt: skip
HEAD = """# The score card

What the risk core reaches, measured by `make scorecard` (`python -m bench.scorecard`); the same figures are in
[scorecard.json](scorecard.json).

- Everything is scored before it is learnt, in order of time. Mean and spread (standard deviation) over the seeds.
- Attack instances and hosts are never split by row. No address, no port as an identity and no field that is the label
  is a feature: the models see rates, counts, novelty, sizes and times.
- AUC: area under the ROC curve. AP: average precision. R@1e-3: the share of attacks found when one benign row in a
  thousand may be an alarm.
- Floors: a detector that can't beat the prevalence (AP) or "repeat the last label" (AUC) has learnt nothing but the
  order of the rows.
"""


class Card:
    """The rows, and what the plots need."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.streams: dict[str, Vector] = {}
        self.missed: list[str] = []

    def add(self, *rows: Row) -> None:
        """Take rows and say so."""
        for row in rows:
            print(f"{'holds' if row.holds() else 'FAILS'}  {row.name}: {_short(row.figures[0])}", flush=True)
        self.rows += rows


def measure(root: Path | None, seeds: range) -> Card:
    """Measure every row that can be."""
    card, http = Card(), None
    if root is not None:
        row, labels, p_values = scorecard_tables.http(root, seeds)
        card.add(row, *scorecard_tables.nsl(root, seeds))
        http = p_values[labels == 0]
    card.add(scorecard_traffic.majority_row(seeds))
    if root is not None:
        card.add(scorecard_captures.behaviour_row(root, seeds))
        files, card.missed = scorecard_captures.files_row(root)
        card.add(files)
    card.add(scorecard_traffic.honest_day_row())
    alarm, card.streams = scorecard_traffic.alarm_row(seeds, http)
    card.add(alarm, scorecard_traffic.late_row(seeds), scorecard_traffic.poisoning_row(seeds))
    return card


def draw(card: Card, folder: Path) -> None:
    """Draw the four plots."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = {name: each for row in card.rows for name, each in row.curves.items()}
    scorecard_plots.roc(curves, folder / "roc.svg")
    scorecard_plots.precision_recall(curves, folder / "precision_recall.svg")
    scorecard_plots.over_time(scorecard_traffic.risk_over_time(), folder / "risk_over_time.svg")
    scorecard_plots.alarms(card.streams, folder / "alarm_rate.svg")


def _short(figure: Figure) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figure.mean.items())


def _cell(figure: Figure, name: str) -> str:
    spread = figure.spread.get(name, 0.0)
    return f"{figure.mean[name]:.3f}" + (f" ± {spread:.3f}" if figure.seeds > 1 else "")


def page(card: Card, lacking: list[str], seeds: int) -> str:
    """Return the page in Markdown."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    parts = [HEAD, f"Engine code version {CODE_VERSION}; {seeds} seeds; {machine}.\n"]
    parts += ["## At a glance\n\n| row | must | reached | |\n|---|---|---|---|"]
    for row in card.rows:
        must = ", ".join(f"{name} {least:g}" for name, least in row.must.items()) or "reported"
        names = dict.fromkeys(name.removesuffix(" at most") for name in row.must) or row.figures[0].mean
        reached = ", ".join(f"{name} {_cell(row.figures[0], name)}" for name in names)
        parts.append(f"| {row.name} | {must} | {reached} | {'holds' if row.holds() else '**does not hold**'} |")
    if lacking:
        parts.append("\nNot made, for want of labelled data (OSTIARY_LABELLED): " + "; ".join(lacking) + ".")
    parts += [
        "\n## Plots\n",
        "![ROC](scorecard/roc.svg)\n",
        "![Precision and recall](scorecard/precision_recall.svg)\n",
    ]
    parts += ["![Risk over time](scorecard/risk_over_time.svg)\n", "![Alarm rate](scorecard/alarm_rate.svg)\n"]
    parts += [_section(row) for row in card.rows]
    if card.missed:
        parts.append("## Attack files not found\n\n" + "\n".join(f"- `{path}`" for path in card.missed) + "\n")
    return "\n".join(parts)


def _section(row: Row) -> str:
    lines = [f"## {row.name[0].upper()}{row.name[1:]}\n", f"Data: {row.data}."]
    lines += [f"{note[0].upper()}{note[1:]}." for note in row.notes]
    if row.floor:
        lines.append("Floor: " + ", ".join(f"{name} {value:.3f}" for name, value in row.floor.items()) + ".")
    alike: dict[tuple[str, ...], list[Figure]] = {}
    for figure in row.figures:
        alike.setdefault(tuple(figure.mean), []).append(figure)
    for names, figures in alike.items():
        if len(names) > 6:
            lines += [f"\n| {figures[0].method} | |\n|---|---|"]
            lines += [f"| {name} | {_cell(figure, name)} |" for figure in figures for name in names]
            continue
        lines.append(f"\n| method | {' | '.join(names)} | seeds |\n|---|{'---|' * len(names)}---|")
        for figure in figures:
            lines.append(f"| {figure.method} | {' | '.join(_cell(figure, name) for name in names)} | {figure.seeds} |")
    return "\n".join(lines) + "\n"


def as_json(card: Card, lacking: list[str]) -> dict[str, Any]:
    """Return the figures as JSON-ready values."""
    rows = []
    for row in card.rows:
        told = {each.name: getattr(row, each.name) for each in dataclasses.fields(row) if each.name != "curves"}
        told["figures"] = [dataclasses.asdict(figure) for figure in row.figures]
        rows.append({**told, "holds": row.holds()})
    return {"code_version": CODE_VERSION, "rows": rows, "lacking": lacking, "missed": card.missed}


def main() -> None:
    """Measure, write and say what holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--into", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    named = os.environ.get("OSTIARY_LABELLED", "")
    root = Path(named) if named else None
    started = time.perf_counter()
    card = measure(root, range(1, given.seeds + 1))
    lacking = [] if root else list(NEEDS_DATA)
    draw(card, given.into / "scorecard")
    (given.into / "scorecard.md").write_text(page(card, lacking, given.seeds), encoding="utf-8")
    (given.into / "scorecard.json").write_text(json.dumps(as_json(card, lacking), indent=1) + "\n", encoding="utf-8")
    print(f"{len(card.rows)} rows, {sum(row.holds() for row in card.rows)} hold, {time.perf_counter() - started:.0f} s")
    if lacking:
        print("not made, for want of OSTIARY_LABELLED:", "; ".join(lacking), file=sys.stderr)


if __name__ == "__main__":
    main()
