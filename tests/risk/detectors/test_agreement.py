"""Each detector beside the original that it follows, on the same rows."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from pysad.models import LODA as PySADLoda  # noqa: N811 - two of the same name
from pysad.models import RSHash as PySADHash
from pysad.models.kitnet_model.KitNET import KitNET as PySADKitNET
from river.anomaly import HalfSpaceTrees as RiverTrees
from scipy.stats import spearmanr
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest as SklearnForest
from sklearn.metrics import roc_auc_score

from risk.detectors import kitnet
from risk.detectors.half_space_trees import HalfSpaceTrees
from risk.detectors.histogram import Histogram
from risk.detectors.isolation_forest import IsolationForest
from risk.detectors.kitnet import KitNET
from risk.detectors.loda import LODA
from risk.detectors.mahalanobis import Mahalanobis
from risk.detectors.rs_hash import RSHash
from risk.detectors.scale import unit

NAMES = tuple(f"f{place}" for place in range(8))
Rows = Callable[[int, int], NDArray[np.float64]]


def test_half_space_trees_are_rivers(usual: Rows, strange: Rows) -> None:
    ours = HalfSpaceTrees(NAMES, seed=7, trees=10, height=8, window=256)
    theirs = RiverTrees(n_trees=10, height=8, window_size=256, seed=7)
    learnt, asked = unit(usual(1100, 1)), unit(np.concatenate((usual(150, 2), strange(50, 3))))
    for row in learnt.tolist():
        theirs.learn_one(dict(zip(NAMES, row, strict=True)))
    ours.learn_unit(learnt)
    expected = [theirs.score_one(dict(zip(NAMES, row, strict=True))) for row in asked.tolist()]
    assert np.allclose(ours.score_unit(asked), expected, rtol=0, atol=1e-12)


def test_kitnet_is_pysads(usual: Rows, strange: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [[0, 1, 2], [3, 4, 5, 6], [7]]
    theirs = PySADKitNET(8, 10, 0, 100_000, 0.1, 0.75, feature_map=groups, random_state=5)
    ours = KitNET(NAMES, seed=5, grace=0)
    ours.lay_out(groups)
    rows = usual(1500, 1)
    for row in rows:
        theirs.train(row)
    ours.learn_many(rows)
    asked = np.concatenate((usual(100, 2), strange(50, 3)))
    assert np.allclose(ours.score_many(asked), [theirs.execute(row) for row in asked], rtol=1e-9)
    assert len(rows) < kitnet.SETTLED


def test_rs_hash_is_pysads_but_for_collisions(usual: Rows, strange: Rows) -> None:
    theirs = PySADHash(
        np.zeros(8), np.ones(8), decay=0.001, num_components=24, num_hash_fns=2, hash_range=1 << 16, random_state=3
    )
    ours = RSHash(NAMES, seed=1, width=1 << 16)
    ours.sizes, ours.used = theirs.f, np.asarray(theirs.r, np.int64)
    ours.shifts, ours.dims = np.zeros((24, int(max(theirs.r)))), np.zeros((24, int(max(theirs.r))), np.int64)
    for part in range(24):
        ours.shifts[part, : theirs.r[part]], ours.dims[part, : theirs.r[part]] = theirs.alpha[part], theirs.V[part]
    learnt, asked = unit(usual(600, 1)), unit(np.concatenate((usual(100, 2), strange(50, 3))))
    for row in learnt:
        theirs.fit_partial(row)
    ours.learn_unit(learnt)
    expected = np.array([theirs.score_partial(row) for row in asked])
    assert np.abs(ours.score_unit(asked) - expected).max() < 0.1
    assert np.abs(ours.score_unit(asked) - expected).mean() < 0.01


def test_loda_ranks_as_pysads(usual: Rows, strange: Rows) -> None:
    theirs = PySADLoda(num_bins=60, num_random_cuts=64, random_state=3)
    learnt, asked = usual(4000, 1), np.concatenate((usual(300, 2), strange(100, 3)))
    for row in learnt:
        theirs.fit_partial(row)
    ours = LODA(NAMES, seed=1, memory=1 << 40)
    ours.directions = (theirs.projections_ / np.linalg.norm(theirs.projections_, axis=1, keepdims=True)).T
    ours.learn_many(learnt)
    expected = np.array([theirs.score_partial(row) for row in asked])
    assert spearmanr(ours.score_many(asked), expected).statistic > 0.95
    truth = np.arange(len(asked)) >= 300
    assert roc_auc_score(truth, ours.score_many(asked)) >= roc_auc_score(truth, expected) - 0.01


def test_mahalanobis_without_forgetting_is_scikit_learns(usual: Rows) -> None:
    ours, rows = Mahalanobis(NAMES, memory=1 << 40, ridge=0.0), usual(2000, 1)
    for part in np.array_split(rows, 9):
        ours.learn_many(part)
    expected = np.sqrt(EmpiricalCovariance().fit(rows).mahalanobis(usual(200, 2)))
    assert np.allclose(ours.score_many(usual(200, 2)), expected, rtol=1e-9)


def test_the_forest_is_scikit_learns(usual: Rows, strange: Rows) -> None:
    rows = usual(1000, 1)
    forest = SklearnForest(n_estimators=32, max_samples=256, random_state=4).fit(rows)
    ours = IsolationForest(NAMES, seed=4)
    ours.take(forest)
    asked = np.concatenate((usual(200, 2), strange(100, 3)))
    assert np.allclose(ours.score_many(asked), -forest.score_samples(asked), rtol=1e-9)


def test_histograms_are_numpys(usual: Rows) -> None:
    ours, rows = Histogram(NAMES, memory=1 << 40), usual(2000, 1)
    ours.learn_many(rows)
    asked, expected = unit(usual(50, 2)), np.zeros(50)
    for column, values in enumerate(unit(rows).T):
        counts, edges = np.histogram(values, bins=40, range=(0, 1))
        places = np.clip(np.searchsorted(edges, asked[:, column], side="right") - 1, 0, 39)
        expected -= np.log((counts[places] + 1) / (counts.sum() + 40))
    assert np.allclose(ours.score_many(usual(50, 2)), expected, atol=1e-6)


def test_groups_keep_together_what_moves_together() -> None:
    dice = np.random.default_rng(1)
    pairs = np.repeat(dice.normal(size=(600, 12)), 2, axis=1) + 0.01 * dice.normal(size=(600, 24))
    net = KitNET([f"f{place}" for place in range(24)], seed=1)
    net.learn_many(pairs)
    groups = list(_groups(net))
    assert sorted(place for group in groups for place in group) == list(range(24))
    assert all(any({2 * at, 2 * at + 1} <= set(group) for group in groups) for at in range(12))
    assert max(map(len, groups)) <= kitnet.WIDEST


def _groups(net: KitNET) -> Iterator[list[int]]:
    outer = int(np.count_nonzero(net.sizes)) - 1
    for place in range(outer):
        yield net.members[place, : net.sizes[place]].tolist()


def test_the_same_seed_gives_the_same_trees() -> None:
    one, other = HalfSpaceTrees(NAMES, 3), HalfSpaceTrees(NAMES, 3)
    assert (one.threshold == other.threshold).all()
    assert not (one.threshold == HalfSpaceTrees(NAMES, 4).threshold).all()
