"""What every detector owes: it finds the strange, scoring changes nothing, saved and restored are the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from risk.detectors.base import Detector
from risk.detectors.half_space_trees import HalfSpaceTrees
from risk.detectors.histogram import Histogram
from risk.detectors.isolation_forest import IsolationForest
from risk.detectors.kitnet import SETTLED, KitNET
from risk.detectors.loda import LODA
from risk.detectors.mahalanobis import Mahalanobis
from risk.detectors.rs_hash import RSHash
from risk.detectors.scale import FAR, Scale, bend, unbend, unit
from risk.errors import StateError

NAMES = tuple(f"f{place}" for place in range(8))
MAKERS: dict[str, Callable[[], Detector]] = {
    "scale": lambda: Scale(NAMES),
    "mahalanobis": lambda: Mahalanobis(NAMES),
    "loda": lambda: LODA(NAMES, 1),
    "histogram": lambda: Histogram(NAMES),
    "half_space_trees": lambda: HalfSpaceTrees(NAMES, 1),
    "rs_hash": lambda: RSHash(NAMES, 1),
    "kitnet": lambda: KitNET(NAMES, 1),
    "isolation_forest": lambda: IsolationForest(NAMES, 1),
}
ROW_BY_ROW = ("half_space_trees", "rs_hash", "kitnet")
Rows = Callable[[int, int], NDArray[np.float64]]


@pytest.fixture(params=sorted(MAKERS))
def kind(request: Any) -> str:
    return str(request.param)


def test_the_strange_scores_higher(kind: str, usual: Rows, strange: Rows) -> None:
    detector = MAKERS[kind]()
    detector.learn_many(usual(3000, 1))
    common, far = detector.score_many(usual(500, 2)), detector.score_many(strange(500, 3))
    assert (far[:, None] > common[None, :]).mean() > 0.9


def test_scoring_changes_nothing_and_depends_on_the_row_alone(kind: str, usual: Rows) -> None:
    detector, rows = MAKERS[kind](), usual(50, 2)
    detector.learn_many(usual(2000, 1))
    before = {name: array.tobytes() for name, array in detector.state().items()}
    whole, parts = detector.score_many(rows), [detector.score_many(rows[at : at + 1])[0] for at in range(50)]
    assert np.allclose(whole, parts, rtol=1e-12)
    assert {name: array.tobytes() for name, array in detector.state().items()} == before


def test_restored_is_undisturbed(kind: str, usual: Rows) -> None:
    one, other = MAKERS[kind](), MAKERS[kind]()
    one.learn_many(usual(1500, 1))
    other.restore(one.state())
    for detector in (one, other):
        detector.learn_many(usual(700, 2))
    assert (one.score_many(usual(100, 3)) == other.score_many(usual(100, 3))).all()


def test_a_damaged_state_is_refused(kind: str, usual: Rows) -> None:
    detector = MAKERS[kind]()
    detector.learn_many(usual(1500, 1))
    for name in detector.state():
        with pytest.raises(StateError):
            MAKERS[kind]().restore({key: array for key, array in detector.state().items() if key != name})


@pytest.mark.parametrize("kind", ROW_BY_ROW)
def test_learning_at_once_equals_learning_one_by_one(kind: str, usual: Rows) -> None:
    one, other, rows = MAKERS[kind](), MAKERS[kind](), usual(1200, 1)
    one.learn_many(rows)
    for row in rows.tolist():
        other.learn_one(dict(zip(NAMES, row, strict=True)))
    probe = dict(zip(NAMES, usual(1, 5)[0].tolist(), strict=True))
    assert one.score_one(probe) == pytest.approx(other.score_one(probe), rel=1e-9)
    assert one.score_one(probe) != 0


def test_an_autoencoder_that_settled_learns_no_more(usual: Rows, strange: Rows) -> None:
    detector = KitNET(NAMES, 1)
    detector.learn_many(usual(SETTLED, 1))
    before = detector.score_many(strange(20, 2))
    detector.learn_many(np.repeat(strange(1, 3), 2000, axis=0))
    assert (detector.score_many(strange(20, 2)) == before).all()


def test_a_damaged_net_or_forest_leads_nowhere(usual: Rows) -> None:
    for kind, name, value in (("kitnet", "members", 99), ("isolation_forest", "left", 1 << 40)):
        detector = MAKERS[kind]()
        detector.learn_many(usual(2000, 1))
        state = detector.state()
        state[name] = np.where(state[name] >= 0, value, state[name])
        with pytest.raises(StateError):
            MAKERS[kind]().restore(state)


def test_the_scale_bends_and_straightens() -> None:
    raw = np.array([-1e9, -20.0, -1.0, 0.0, 0.5, 16.0, 17.0, 1e12])
    assert np.allclose(unbend(bend(raw)), raw, rtol=1e-9)
    assert (np.diff(bend(raw)) > 0).all()
    assert bend(np.array([np.nan])) == 0
    assert np.isfinite(bend(np.array([np.inf, -np.inf]))).all()


def test_standardised_rows_are_bounded() -> None:
    scale = Scale(("a",))
    scale.learn_many(np.full((10, 1), 3.0))
    assert scale.standardise(np.array([[3.0], [1e300]])).ravel().tolist() == [0.0, FAR]
    assert 0 < unit(np.array([[-FAR]]))[0, 0] < unit(np.array([[FAR]]))[0, 0] < 1
