"""The card itself: what it writes of rows that were measured, and what it says where it has no data."""

import json
from pathlib import Path

import numpy as np

from bench import scorecard, scorecard_plots
from bench.scorecard_metrics import Figure, Row
from bench.scorecard_models import Online, logistic, supervised_late, surprise
from bench.scorecard_streams import recorded_attacks
from bench.scorecard_traffic import alarm_rates, majority

LABELS, SCORES = np.array([0, 1, 0, 1], np.int8), np.array([0.1, 0.9, 0.3, 0.2])


def _card() -> scorecard.Card:
    card = scorecard.Card()
    figure = Figure("ours", {"AUC": 0.9, "R@1e-3": 0.5}, {"AUC": 0.01, "R@1e-3": 0.1}, 5)
    card.add(
        Row(
            "a stream", "made here", (figure,), {"prevalence": 0.5}, {"AUC": 0.95}, ("a note",), {"x": (LABELS, SCORES)}
        )
    )
    return card


def test_a_row_that_fails_says_so(capsys: object) -> None:
    text = scorecard.page(_card(), ["ADBench http, online"], 5)
    assert "| a stream | AUC 0.95 | AUC 0.900 ± 0.010 | **does not hold** |" in text
    assert "Not made, for want of labelled data (OSTIARY_LABELLED): ADBench http, online." in text
    assert "Floor: prevalence 0.500." in text


def test_json_holds_every_figure_and_no_curve() -> None:
    told = json.loads(json.dumps(scorecard.as_json(_card(), [])))
    assert told["rows"][0]["figures"][0]["mean"] == {"AUC": 0.9, "R@1e-3": 0.5}
    assert told["rows"][0]["holds"] is False
    assert "curves" not in told["rows"][0]


def test_plots_repeat_to_the_byte(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        scorecard_plots.roc({"x": (LABELS, SCORES)}, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_the_majority_stream_is_nine_tenths_attack() -> None:
    flows = majority(recorded_attacks(), 1)
    assert abs(flows.labels.mean() - 0.9) < 0.005
    assert (np.diff(flows.stamps) >= 0).all()


def test_scores_come_before_learning() -> None:
    rows = np.random.default_rng(1).normal(size=(600, 3))
    whole, cut = Online(rows, ("a", "b", "c"), 1), Online(rows[:300], ("a", "b", "c"), 1)
    assert (whole.p_value[:300] == cut.p_value).all()


def test_late_labels_are_not_known_before_their_time() -> None:
    rows = np.array([[0.0], [1.0]] * 50)
    labels = np.array([0, 1] * 50, np.int8)
    stamps = np.arange(100, dtype=np.int64)
    late = supervised_late(logistic(), rows, labels, stamps, 1000)
    assert (late == late[0]).all()  # nothing was ever learnt


def test_a_kept_promise_is_one() -> None:
    even = (np.arange(101_000) % 1000 + 0.5) / 1000
    assert abs(alarm_rates(even)["realised/declared at 0.01"] - 1) < 0.01
    assert surprise(np.array([0.01]))[0] == 2
