"""The models together: what teaches them, what doesn't, and what their p-values promise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from risk.ensemble import BATCH, FAIR, SHARE, WEIGHTS, Ensemble, Once, Scores, most_each
from risk.reference import Reference

Rows = NDArray[np.float64]
NAMES = ("a", "b", "c", "d")


def _usual(number: int, seed: int) -> Rows:
    dice = np.random.default_rng(seed)
    base = dice.gamma(2.0, 100.0, number)
    return np.column_stack((base, base * 3 + dice.normal(0, 20, number), dice.poisson(3, number), dice.random(number)))


def _attack(number: int) -> Rows:
    return np.tile([1.0, 90_000.0, 200.0, 0.0], (number, 1))


def _live(ensemble: Ensemble, rows: Rows, keys: NDArray[np.uint64] | None = None, suspect: bool = False) -> Scores:
    """Score and learn rows batch by batch; return the scores of the last batch."""
    for at in range(0, len(rows) - BATCH + 1, BATCH):
        part = rows[at : at + BATCH]
        scores = ensemble.score_many(part)
        whose = None if keys is None else keys[at : at + BATCH]
        ensemble.learn_many(part, scores, whose, np.full(len(part), suspect))
    return scores


@pytest.fixture(scope="module")
def trained() -> dict[str, NDArray[np.generic]]:
    ensemble = Ensemble(NAMES, 1)
    _live(ensemble, _usual(80 * BATCH, 1), np.arange(80 * BATCH, dtype=np.uint64) % 50)
    return ensemble.state()


@pytest.fixture
def ensemble(trained: dict[str, NDArray[np.generic]]) -> Ensemble:
    fresh = Ensemble(NAMES, 1)
    fresh.restore(trained)
    return fresh


def test_the_weights_are_a_whole() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    assert set(WEIGHTS) == {model.name for model in Ensemble(NAMES, 1).models}


def test_the_strange_is_rare_and_the_usual_is_as_often_as_said(ensemble: Ensemble) -> None:
    assert (ensemble.score_many(_attack(5)).p_value < 1e-3).all()
    rate = (ensemble.score_many(_usual(20_000, 2)).adaptive <= 0.01).mean()
    assert 0.5 <= rate / 0.01 <= 1.6


def test_before_anything_is_known_nothing_is_rare() -> None:
    assert (Ensemble(NAMES, 1).score_many(_attack(50)).p_value == 1.0).all()


def test_suspects_teach_nothing(ensemble: Ensemble) -> None:
    before = {name: array.tobytes() for name, array in ensemble.state().items()}
    _live(ensemble, _usual(4 * BATCH, 3), np.arange(4 * BATCH, dtype=np.uint64), suspect=True)
    assert {name: array.tobytes() for name, array in ensemble.state().items()} == before
    assert ensemble.seen["gated_evidence"] >= 4 * BATCH


def test_a_flood_of_one_kind_of_row_does_not_become_usual(ensemble: Ensemble) -> None:
    scores = _live(ensemble, _attack(20 * BATCH))
    assert (scores.p_value < 2e-3).all()


def test_nor_does_that_of_one_entity_with_changing_rows(ensemble: Ensemble) -> None:
    rows = _attack(20 * BATCH) * np.random.default_rng(5).uniform(0.7, 1.5, (20 * BATCH, 1))
    scores = _live(ensemble, rows, np.full(20 * BATCH, 7, np.uint64))
    assert (scores.p_value < 5e-3).mean() > 0.95


def test_one_entity_gives_no_more_than_its_share(ensemble: Ensemble) -> None:
    keys = np.arange(BATCH, dtype=np.uint64) % np.uint64(50)
    keys[: BATCH // 2] = 7
    before = ensemble.models[1].learnt
    ensemble.learn_many(rows := _usual(BATCH, 4), ensemble.score_many(rows), keys)
    allowed = int(min(FAIR * ensemble.fair, BATCH // SHARE))
    assert ensemble.models[1].learnt - before <= BATCH - BATCH // 2 + allowed


def test_where_most_is_attack_the_reference_keeps_its_word() -> None:
    reference = Reference.fit(_usual(4000, 9), NAMES)
    alone, beside = Ensemble(NAMES, 1), Ensemble(NAMES, 1, reference)
    dice = np.random.default_rng(1)
    rows = np.where(dice.random(40 * BATCH)[:, None] < 0.9, _attack(40 * BATCH), _usual(40 * BATCH, 2))
    rows[:, :2] *= dice.uniform(0.8, 1.2, (len(rows), 1))
    for each in (alone, beside):
        _live(each, rows, np.arange(len(rows), dtype=np.uint64))
    attacks = _attack(200) * dice.uniform(0.9, 1.1, (200, 1))
    assert np.median(alone.score_many(attacks).p_value) > 0.05  # all that it knows is the attack
    assert (beside.score_many(attacks).p_value < 1e-3).all()
    assert np.median(beside.score_many(_usual(200, 8)).p_value) > 0.05


def test_a_slow_poisoner_gains_nothing(ensemble: Ensemble, trained: dict[str, NDArray[np.generic]]) -> None:
    """One of fifty sources drifts towards the attack, a little each batch, for as long as all training took."""
    target, steps = _attack(1)[0], 40
    for step in range(steps):
        rows = _usual(BATCH, 100 + step)
        keys = np.arange(BATCH, dtype=np.uint64) % np.uint64(50)
        mine = keys == 7
        rows[mine] += (target - rows[mine]) * (step + 1) / steps
        ensemble.learn_many(rows, ensemble.score_many(rows), keys)
    honest = Ensemble(NAMES, 1)
    honest.restore(trained)
    asked = _attack(100) * np.random.default_rng(3).uniform(0.9, 1.1, (100, 1))
    before, after = ((each.score_many(asked).p_value < 0.01).mean() for each in (honest, ensemble))
    assert before == 1.0
    assert after >= before - 0.05


def test_strange_rows_pass_once_for_each_entity_and_kind() -> None:
    once = Once()
    keys = np.array([1, 1, 2, 3], np.uint64)
    alike = np.array([8, 10, 12, 8], np.uint64)
    odd = np.array([True, True, True, True])
    assert once.admit(keys, alike, odd).tolist() == [True, False, True, False]
    assert once.admit(keys, alike, odd).tolist() == [False] * 4
    assert once.admit(np.array([9], np.uint64), np.array([90], np.uint64), np.array([False])).tolist() == [False]


def test_shares_are_counted_by_key() -> None:
    keys = np.array([5, 5, 6, 5, 6, 7], np.uint64)
    assert most_each(keys, 2).tolist() == [True, True, True, False, True, True]


def test_restored_is_undisturbed(ensemble: Ensemble, trained: dict[str, NDArray[np.generic]]) -> None:
    other = Ensemble(NAMES, 1)
    other.restore(trained)
    for each in (ensemble, other):
        _live(each, _usual(4 * BATCH, 11), np.arange(4 * BATCH, dtype=np.uint64))
    assert (ensemble.score_many(_usual(50, 12)).p_value == other.score_many(_usual(50, 12)).p_value).all()
