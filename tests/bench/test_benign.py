"""The honest recording: whole, repeatable, and a day of it on which nobody is cut off."""

from collections import Counter

import numpy as np
import pytest

from bench.benign import BEGIN, HOUR, KEPT, PARTS, day, recordings, views
from risk.engine import RiskEngine
from risk.reference import default_reference
from risk.settings import RiskSettings
from risk.windows import MODELS
from sensors.values import DTYPES, TEXT_COLUMNS, Kind

DENIES = 0.7
"""From this risk on the default policy denies or isolates on ordinary routes."""
LARGEST_REFERENCE, LARGEST_KEPT = 2_000_000, 2_000_000


def test_what_is_kept_is_small_and_whole() -> None:
    kept = recordings()
    assert set(kept) == set(PARTS)
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < LARGEST_KEPT
    for recording in kept.values():
        assert {Kind.FLOW, Kind.HTTP, Kind.DNS, Kind.TLS, Kind.AUTH} <= set(recording.tables)
        for kind, rows in recording.tables.items():
            assert rows.dtype == DTYPES[kind]
            assert (np.diff(rows["ts"]) >= 0).all()
            assert all(int(rows[name].max()) < len(recording.texts) for name in TEXT_COLUMNS[kind])


def test_nothing_but_the_recordings_own_networks_is_in_it() -> None:
    known = {"10.20", "198.51", "203.0", "239.255", "224.0", "255.255"}
    for recording in recordings().values():
        for rows in (recording.tables[Kind.HTTP], recording.tables[Kind.DNS]):
            for name in ("orig", "resp"):
                names = {recording.texts[code] for code in np.unique(rows[name]).tolist()} - {""}
                assert {".".join(text.split(".")[:2]) for text in names} <= known


def test_a_day_has_24_hours_and_repeats() -> None:
    batches, again = list(day(3)), list(day(3))
    starts = [batch.watermark for batch in batches]
    assert (starts[0], len(starts)) == (BEGIN, 48)
    assert starts[-1] == BEGIN + 24 * HOUR - HOUR // 2
    assert sum(len(batch.tables[Kind.FLOW]) for batch in batches) > 200_000
    assert all(
        (one.tables[Kind.FLOW] == other.tables[Kind.FLOW]).all() for one, other in zip(batches, again, strict=True)
    )


def test_a_flow_keeps_its_rows_together_when_it_is_moved() -> None:
    flows = recordings()["day"].batch(BEGIN, 6, 1).tables[Kind.FLOW]
    assert (flows["first"] <= flows["last"]).all()
    ends = flows[flows["event"] & 2 != 0]
    assert (ends["ts"] >= ends["first"]).all()


def test_the_reference_that_ships_fits_its_models() -> None:
    reference = default_reference()
    assert reference is not None
    assert reference.names == MODELS
    assert len(reference.to_bytes()) < LARGEST_REFERENCE


def test_honest_views_that_it_did_not_train_on_are_rarely_strange_to_it() -> None:
    from risk.reference.training import gather

    reference = default_reference()
    assert reference is not None
    rows = np.concatenate([gather([view], RiskSettings()) for view in views(99, 30)])
    strange = reference.p_values(rows) < 1e-3
    assert len(rows) > 2000
    assert strange.mean() < 0.01


@pytest.mark.slow
def test_on_an_honest_day_nobody_reaches_what_denies() -> None:
    engine, worst = RiskEngine(RiskSettings()), Counter[str]()
    for batch in day():
        for finding in engine.observe(batch):
            who = str(finding.assessment.entity)
            worst[who] = max(worst[who], finding.assessment.risk)  # type: ignore[assignment]  # a Counter of risks
    assert {who: risk for who, risk in worst.items() if risk >= DENIES} == {}
