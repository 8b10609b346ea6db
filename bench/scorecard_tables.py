"""Rows of the score card on tables with a label column: ADBench http and NSL-KDD."""

import csv
from pathlib import Path

import numpy as np

from bench.scorecard_metrics import Figure, Labels, Measured, Row, Vector, floors, over_seeds, ranking, summed_up
from bench.scorecard_models import Matrix, Online, forest, half_space_trees, logistic, supervised, surprise
from risk.detectors.scale import bend
from risk.reference.reference import Reference

SLICE = slice(300_000, 340_000)
"""Rows of http on which river's trees are run, too: at a millisecond a row they can't see all."""


def http(root: Path, seeds: range) -> tuple[Row, Labels, Vector]:
    """Return the row of http, its labels, and the p-values of the first seed (for the alarm rate)."""
    table = np.load(root / "tabular" / "16_http.npz", allow_pickle=True)
    rows, labels = np.asarray(table["X"], np.float64), table["y"].ravel().astype(np.int8)
    names = tuple(f"f{place}" for place in range(rows.shape[1]))
    p_values: list[Vector] = []

    def run(seed: int) -> Measured:
        p_values.append(Online(rows, names, seed).p_value)
        return ranking(labels, surprise(p_values[-1]))

    ours = over_seeds("shipped ensemble, online, no labels", run, seeds)
    part, known = rows[SLICE], labels[SLICE]
    cold = over_seeds(
        "the same from cold on 40,000 rows", lambda seed: ranking(known, surprise(Online(part, names, seed).p_value)),
        seeds,
    )  # fmt: skip
    peer = over_seeds(
        "river HalfSpaceTrees on these 40,000", lambda seed: ranking(known, half_space_trees(part, seed)), [seeds[0]]
    )
    note = (
        "three columns (duration and bytes), in the file's order; prequential in batches of 256; nothing is tuned here"
    )
    row = Row(
        "ADBench http, online", "tabular/16_http.npz, 567,498 rows", (ours, cold, peer), floors(labels),
        {"AUC": 0.99, "R@1e-3": 0.90}, (note,), {"http, online": (labels, surprise(p_values[0]))},
    )  # fmt: skip
    return row, labels, p_values[0]


def nsl_table(root: Path) -> tuple[Matrix, Labels]:
    """Return the features and labels of NSL-KDD 20 %: without service (a port's name), difficulty and label."""
    with (root / "tabular" / "nsl-kdd" / "Field_Names.csv").open(newline="") as file:
        fields = [line for line in csv.reader(file) if line]
    with (root / "tabular" / "nsl-kdd" / "KDDTrain+_20Percent.txt").open(newline="") as file:
        lines = list(csv.reader(file))
    columns: list[Vector] = []
    for place, (name, kind) in enumerate(fields):
        values = [line[place] for line in lines]
        if kind == "symbolic" and name in ("protocol_type", "flag"):
            columns += [np.array([value == level for value in values], np.float64) for level in sorted(set(values))]
        elif name != "service":
            columns.append(np.array(values, np.float64))
    labels = np.array([line[len(fields)] != "normal" for line in lines], np.int8)
    return np.column_stack(columns), labels


def nsl(root: Path, seeds: range) -> list[Row]:
    """Return the three rows of NSL-KDD: the first half is given, the second is scored."""
    rows, labels = nsl_table(root)
    half = len(rows) // 2
    tested, floor = labels[half:], floors(labels[half:])
    data = f"tabular/nsl-kdd, the second {len(rows) - half:,} rows; not in order of time"
    bent = bend(rows)
    frozen, curves = [], {}
    for seed in seeds:
        normal = rows[:half][labels[:half] == 0]
        scores = Reference.fit(normal, seed=seed).score(rows[half:])
        frozen.append(ranking(tested, scores))
        curves.setdefault("NSL-KDD, frozen", (tested, scores))
    peer = over_seeds(
        "river HalfSpaceTrees, online, no labels",
        lambda seed: ranking(tested, half_space_trees(bent, seed)[half:]), [seeds[0]],
    )  # fmt: skip
    without = ("without service (it names the port), difficulty and label",)
    yield_rows = [
        Row(
            "NSL-KDD, frozen reference, normal rows only", data, (summed_up("reference, frozen", frozen), peer), floor,
            {"AUC": 0.96}, without, curves,
        )
    ]  # fmt: skip
    for share, least in ((1.0, 0.99), (0.01, 0.95)):
        ours, line = _labelled(bent, labels, half, share, seeds)
        name = "all labels" if share == 1 else "1 % of the labels"
        yield_rows.append(Row(f"NSL-KDD, online, {name}", data, (ours, line), floor, {"AUC": least}, without))
    return yield_rows


def _labelled(rows: Matrix, labels: Labels, half: int, share: float, seeds: range) -> tuple[Figure, Figure]:
    def known(seed: int) -> np.ndarray:  # type: ignore[type-arg]  # of booleans
        return np.random.default_rng(seed).random(len(rows)) < share

    tested = labels[half:]
    return (
        over_seeds(
            "river's adaptive forest, as feedback grows it",
            lambda seed: ranking(tested, supervised(forest(seed), rows, labels, known(seed), half)), seeds,
        ),
        over_seeds(
            "river's logistic regression",
            lambda seed: ranking(tested, supervised(logistic(), rows, labels, known(seed), half)), seeds,
        ),
    )  # fmt: skip
