"""What the score card runs over a stream: our models and river's, each scored before it learns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import anomaly, compose, linear_model, preprocessing
from river.forest import ARFClassifier

from bench.scorecard_metrics import Labels, Vector
from risk.ensemble import BATCH, Ensemble, Keys
from risk.reference.reference import Reference

Matrix = NDArray[np.float64]


def surprise(p_values: Vector) -> Vector:
    """Return -log10 of p-values."""
    return np.asarray(-np.log10(np.maximum(p_values, 1e-300)), np.float64)


class Online:
    """Our ensemble over a stream, in batches as the engine has them: scored, then learnt."""

    def __init__(
        self, rows: Matrix, names: Sequence[str], seed: int, reference: Reference | None = None,
        keys: Keys | None = None,
    ) -> None:  # fmt: skip
        models = Ensemble(names, seed, reference)
        parts = []
        for at in range(0, len(rows), BATCH):
            batch = rows[at : at + BATCH]
            scores = models.score_many(batch)
            parts.append((scores.p_value, scores.adaptive, scores.reference))
            models.learn_many(batch, scores, None if keys is None else keys[at : at + BATCH])
        self.p_value, self.adaptive, self.reference = (np.concatenate(column) for column in zip(*parts, strict=True))


def half_space_trees(rows: Matrix, seed: int, window: int = 250) -> Vector:
    """Return the scores of river's HalfSpaceTrees behind its MinMaxScaler, one row at a time."""
    model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=seed, window_size=window))
    scores = np.zeros(len(rows))
    for place, row in enumerate(_named(rows)):
        scores[place] = model.score_one(row)
        model.learn_one(row)
    return scores


def forest(seed: int) -> Any:  # river has no types
    """Return river's adaptive random forest, as `ostiary label` grows it."""
    return ARFClassifier(n_models=10, seed=seed)


def logistic() -> Any:  # river has no types
    """Return river's logistic regression behind its StandardScaler."""
    return compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())


def supervised(model: Any, rows: Matrix, labels: Labels, known: NDArray[np.bool_], scored_from: int = 0) -> Vector:
    """Return the probability of an attack of each row from `scored_from` on; `known` labels are learnt at once."""
    scores = np.zeros(len(rows) - scored_from)
    for place, row in enumerate(_named(rows)):
        if place >= scored_from:
            scores[place - scored_from] = _probability(model, row)
        if known[place]:
            model.learn_one(row, bool(labels[place]))
    return scores


def supervised_late(model: Any, rows: Matrix, labels: Labels, stamps: NDArray[np.int64], late_ns: int) -> Vector:
    """Return the same where each label arrives `late_ns` after its row."""
    named, scores, waiting = list(_named(rows)), np.zeros(len(rows)), 0
    for place, row in enumerate(named):
        while waiting < place and stamps[waiting] + late_ns <= stamps[place]:
            model.learn_one(named[waiting], bool(labels[waiting]))
            waiting += 1
        scores[place] = _probability(model, row)
    return scores


def _probability(model: Any, row: dict[str, float]) -> float:
    told = model.predict_proba_one(row)
    total = sum(told.values())
    return float(told.get(True, 0.0) / total) if total else 0.5


def _named(rows: Matrix) -> Any:  # an iterator of dictionaries
    names = [f"f{place}" for place in range(rows.shape[1])]
    return (dict(zip(names, row, strict=True)) for row in rows.tolist())
