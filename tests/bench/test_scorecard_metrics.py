"""The figures of the score card, on cases whose answer is known, and beside scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from bench.scorecard_metrics import Figure, Row, auc, average_precision, curve, floors, recall_at, summed_up

LABELS = np.array([0, 0, 1, 0, 1, 1], np.int8)
SCORES = np.array([0.1, 0.4, 0.35, 0.2, 0.8, 0.9])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=4, max_size=60))
def test_areas_equal_scikit_learns_also_with_ties(pairs: list[tuple[bool, int]]) -> None:
    labels = np.array([label for label, _ in pairs], np.int8)
    scores = np.array([score for _, score in pairs], np.float64)
    if 0 < labels.sum() < len(labels):
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
        assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_one_class_has_no_area() -> None:
    assert np.isnan(auc(np.zeros(4, np.int8), np.arange(4.0)))


def test_recall_counts_ties_as_missed() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int8)
    scores = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 5.0, 6.0])
    assert recall_at(labels, scores, 0.0) == 0.5
    assert recall_at(labels, scores, 0.25) == 1.0


def test_a_constant_score_finds_nothing() -> None:
    assert recall_at(LABELS, np.ones(6), 1e-2) == 0.0
    assert auc(LABELS, np.ones(6)) == 0.5


def test_the_floor_is_the_label_before() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1], np.int8)
    floor = floors(labels)
    assert floor["prevalence"] == 0.5
    assert floor["AUC of the last label"] == auc(labels, np.array([0, 0, 0, 0, 1, 1.0]))


def test_a_curve_ends_at_everything() -> None:
    rates, recalls, precisions = curve(LABELS, SCORES)
    assert (rates[-1], recalls[-1], precisions[-1]) == (1.0, 1.0, 0.5)
    assert (np.diff(recalls) >= 0).all()


def test_mean_and_spread_over_seeds() -> None:
    figure = summed_up("x", [{"AUC": 0.9}, {"AUC": 0.8}])
    assert figure.mean["AUC"] == pytest.approx(0.85)
    assert figure.spread["AUC"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("must", "holds"),
    [({"a": 0.5}, True), ({"a": 0.7}, False), ({"a at most": 0.5}, False), ({"a": 0.5, "a at most": 0.7}, True)],
)
def test_a_row_holds_between_its_bounds(must: dict[str, float], holds: bool) -> None:
    row = Row("name", "data", (Figure("method", {"a": 0.6}, {"a": 0.0}, 1),), {}, must)
    assert row.holds() is holds
