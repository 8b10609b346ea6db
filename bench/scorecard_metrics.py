"""Figures of the score card: how well scores rank, and what they cost in false alarms.

`labels` are 0 or 1, `scores` higher for stranger; both in the order of time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
Vector = NDArray[np.float64]
Measured = Mapping[str, float]


def auc(labels: Labels, scores: Vector) -> float:
    """Return the area under the ROC curve; equal scores count half (Mann and Whitney)."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    hits = int(labels.sum())
    misses = len(labels) - hits
    if not hits or not misses:
        return float("nan")
    return float((ranks[labels == 1].sum() - hits * (hits + 1) / 2) / (hits * misses))


def recall_at(labels: Labels, scores: Vector, rate: float) -> float:
    """Return the share of attacks that score above all but `rate` of the benign rows; ties count as missed."""
    benign = np.sort(scores[labels == 0])
    allowed = int(rate * len(benign))
    return float((scores[labels == 1] > benign[-(allowed + 1)]).mean())


def average_precision(labels: Labels, scores: Vector) -> float:
    """Return the area under the precision-recall curve as a step function; equal scores enter together."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(labels[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    precision, recall = found[last] / (last + 1), found[last] / max(int(labels.sum()), 1)
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def ranking(labels: Labels, scores: Vector) -> Measured:
    """Return the four figures that every ranking is given."""
    return {
        "AUC": auc(labels, scores), "AP": average_precision(labels, scores),
        "R@1e-2": recall_at(labels, scores, 1e-2), "R@1e-3": recall_at(labels, scores, 1e-3),
    }  # fmt: skip


def floors(labels: Labels) -> Measured:
    """Return what needs no detector: the prevalence, and the AUC of repeating the label before."""
    before = np.concatenate(([0], labels[:-1])).astype(np.float64)
    return {"prevalence": float(labels.mean()), "AUC of the last label": auc(labels, before)}


def curve(labels: Labels, scores: Vector) -> tuple[Vector, Vector, Vector]:
    """Return (false-positive rate, recall, precision) at each distinct score, the strictest first."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found, alarms = hits[last].astype(np.float64), last + 1.0
    negatives = max(len(labels) - int(labels.sum()), 1)
    return (alarms - found) / negatives, found / max(int(labels.sum()), 1), found / alarms


@dataclass(frozen=True, slots=True)
class Figure:
    """What one method reached on a row's stream: mean and spread (standard deviation) over the seeds."""

    method: str
    mean: Measured
    spread: Measured
    seeds: int


def over_seeds(method: str, measure: Callable[[int], Measured], seeds: Iterable[int]) -> Figure:
    """Measure once a seed."""
    return summed_up(method, [measure(seed) for seed in seeds])


def summed_up(method: str, runs: list[Measured]) -> Figure:
    """Return mean and spread of runs that measured the same."""
    names = list(runs[0])
    values = {name: np.array([run[name] for run in runs]) for name in names}
    mean = {name: float(array.mean()) for name, array in values.items()}
    return Figure(method, mean, {name: float(array.std()) for name, array in values.items()}, len(runs))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the issue's table, with everything beside it."""

    name: str
    data: str
    figures: tuple[Figure, ...]
    floor: Measured
    must: Mapping[str, float]
    """Least values (or, for names that end in "at most", greatest), measured on the first figure."""
    notes: tuple[str, ...] = ()
    curves: Mapping[str, tuple[Labels, Vector]] = field(default_factory=dict)
    """Scores of the first seed, for the plots; not written to JSON."""

    def holds(self) -> bool:
        """Return whether the first figure reaches what it must."""
        mean = self.figures[0].mean
        return all(
            mean[name.removesuffix(" at most")] <= least if name.endswith(" at most") else mean[name] >= least
            for name, least in self.must.items()
        )
