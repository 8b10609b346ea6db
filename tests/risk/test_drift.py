"""A change is told, and told once; a restored watch is the undisturbed one."""

import numpy as np
import pytest

from risk.drift import KEPT, Drift
from risk.ensemble import BATCH, FRESH, Ensemble
from risk.snapshot import fill, take

NAMES = ("a", "b")


def _see(drift: Drift, batches: int, seed: int, shift: float = 0.0, score: float = 0.5) -> None:
    dice = np.random.default_rng(seed)
    for step in range(batches):
        rows = dice.normal(size=(64, 2)) + np.array([0.0, shift])
        drift.see(seed * 10**6 + step, dice.exponential(score, 64), rows)


def test_what_stays_the_same_is_no_change() -> None:
    drift = Drift(NAMES)
    _see(drift, 600, 1)
    assert drift.told <= 1


@pytest.mark.parametrize(("shift", "score", "what"), [(1.0, 0.5, "b"), (0.0, 1.5, "score")])
def test_a_change_is_named_soon_with_what_it_was_and_is(shift: float, score: float, what: str) -> None:
    drift = Drift(NAMES)
    _see(drift, 200, 1)
    before = drift.told
    _see(drift, 60, 2, shift, score)
    found = [change for change in list(drift.changes)[before:] if change.what == what]
    assert found
    assert found[0].after > found[0].before
    assert found[0].detector in {"adwin", "kswin", "page_hinkley"}
    assert {change.what for change in list(drift.changes)[before:]} <= {what, "odd"}


def test_only_the_latest_are_kept() -> None:
    drift = Drift(NAMES)
    for turn in range(200):
        _see(drift, 60, turn, shift=6.0 * (turn % 2))
    assert len(drift.changes) == KEPT
    assert drift.told > KEPT


def test_a_restored_watch_is_the_undisturbed_one() -> None:
    drift = Drift(NAMES)
    _see(drift, 150, 1)
    saved = take("base", {"drift": drift})
    again: Drift = fill(saved, "base", {"drift": Drift(NAMES)})["drift"]  # type: ignore[assignment]  # it is one
    for each in (drift, again):
        _see(each, 80, 2, shift=0.4)
    assert list(drift.changes) == list(again.changes)
    assert drift.told == again.told > 0


def test_after_forgetting_a_change_becomes_usual_sooner() -> None:
    def lived(forget: bool) -> float:
        ensemble, dice = Ensemble(NAMES, 1), np.random.default_rng(1)
        for step in range(60):
            rows = dice.normal(50, 5, (BATCH, 2)) + (60.0 if step >= 40 else 0.0)
            if step == 42 and forget:
                ensemble.forget()
                assert ensemble.scale.learnt == FRESH
            ensemble.learn_many(rows, ensemble.score_many(rows), np.arange(BATCH, dtype=np.uint64))
        return float((ensemble.score_many(dice.normal(110, 5, (500, 2))).p_value < 0.01).mean())

    assert lived(forget=True) < 0.05
    assert lived(forget=False) >= lived(forget=True)
