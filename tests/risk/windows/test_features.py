"""The feature table and what the windows count."""

from typing import Any

import numpy as np
import pytest

from risk.settings import RiskSettings
from risk.windows import FEATURES, INDEX, FlowView, FlowWindows, kernel

A, B = "192.0.2.7", "198.51.100.9"


def _view(traffic: Any) -> FlowView:
    return FlowWindows(RiskSettings()).advance(traffic.rows(), ("a",))


def test_the_kernel_and_the_table_agree_on_columns() -> None:
    assert len(FEATURES) == kernel.F_COUNT == len(INDEX)
    for constant, name in [
        ("F_SRC_STARTS", "src_starts_10"), ("F_SRC_FAILED", "src_failed_10"), ("F_SRC_PORTS", "src_ports_10"),
        ("F_SRC_PEERS", "src_peers_10"), ("F_DST_STARTS_10", "dst_starts_10"), ("F_DST_STARTS_60", "dst_starts_60"),
        ("F_DST_SOURCES", "dst_sources_60"), ("F_DST_FAILURES", "dst_failures_60"), ("F_CH_COUNT", "ch_count_600"),
        ("F_CH_STARTS", "ch_starts_10"), ("F_CH_FAILURES", "ch_failures_60"), ("F_CH_GAPS", "ch_gaps"),
        ("F_CH_GAP", "ch_gap"), ("F_CH_GAP_CV", "ch_gap_cv"), ("F_CH_SIZE_CV", "ch_size_cv"),
        ("F_CH_SHORT_60", "ch_short_60"), ("F_CH_SHORT_600", "ch_short_600"), ("F_SRC_OUT", "src_out_600"),
        ("F_SRC_OUT_SHARE", "src_out_share"), ("F_NEW_PAIR", "new_pair"), ("F_NEW_PORT", "new_port"),
        ("F_NEW_DST", "new_dst"), ("F_RARITY", "port_rarity"), ("F_DURATION", "duration"), ("F_FAILED", "failed"),
        ("F_MEAN_OUT", "mean_out"), ("F_BYTES_RATIO", "bytes_ratio"), ("F_PAIR_PORTS_60", "pair_ports_60"),
        ("F_PAIR_PORTS_600", "pair_ports_600"), ("F_PAIR_FAILED", "pair_failed_600"),
        ("F_PAIR_DONE", "pair_done_600"), ("F_PAIR_STARTS", "pair_starts_10"), ("F_PAIR_PACKETS", "pair_packets_10"),
        ("F_PAIR_ANSWERS", "pair_answers_10"), ("F_PAIR_EMPTY", "pair_empty_10"), ("F_SWEEP_60", "sweep_peers_60"),
        ("F_SWEEP_600", "sweep_peers_600"), ("F_SWEEP_FAILED", "sweep_failed_600"),
        ("F_SWEEP_DONE", "sweep_done_600"), ("F_SRC_SLOW", "src_slow_14400"),
        ("F_DISTINCT_PEERS", "src_distinct_peers"), ("F_DISTINCT_PORTS", "src_distinct_ports"),
        ("F_DISTINCT_SOURCES", "dst_distinct_sources"),
    ]:  # fmt: skip
        assert getattr(kernel, constant) == INDEX[name], name


def test_every_feature_says_what_it_is() -> None:
    for feature in FEATURES:
        assert feature.unit and feature.meaning and feature.raised_by and feature.top > 0


def test_counts_decay_with_their_time_constants(traffic: Any) -> None:
    for step in range(10):
        traffic.begin(step * 0.01, A, B, 80)
    traffic.begin(60, A, B, 80)
    view = _view(traffic)
    assert view.value(9, "src_starts_10") == pytest.approx(10, abs=0.1)
    assert view.value(10, "src_starts_10") == pytest.approx(1 + 10 * np.exp(-6), abs=0.01)
    assert view.value(10, "src_starts_60") == pytest.approx(1 + 10 * np.exp(-1), abs=0.01)
    assert view.value(10, "src_starts_600") == pytest.approx(1 + 10 * np.exp(-0.1), abs=0.01)


def test_distinct_things_count_once(traffic: Any) -> None:
    for step in range(30):
        traffic.talk(step * 0.1, A, B, 80 + step % 3)
    view = _view(traffic)
    last = len(view.rows) - 1
    assert view.value(last, "pair_ports_600") == pytest.approx(3, abs=0.05)
    assert view.value(last, "src_ports_600") == pytest.approx(3, abs=0.05)
    assert view.value(last, "src_peers_600") == pytest.approx(1, abs=0.05)
    assert view.value(last, "pair_done_600") == pytest.approx(30, abs=0.5)


def test_even_gaps_have_no_spread(traffic: Any) -> None:
    for step in range(20):
        traffic.begin(step * 30, A, B, 80)
    view = _view(traffic)
    assert view.value(19, "ch_gap") == pytest.approx(30)
    assert view.value(19, "ch_gap_cv") == pytest.approx(0, abs=0.01)
    assert view.value(19, "ch_gaps") == 19


def test_addresses_that_differ_in_one_bit_are_different(traffic: Any) -> None:
    for bit in range(32):
        traffic.begin(bit * 0.01, f"2001:db8::{1 << (bit % 16):x}:{1 << (bit // 2):x}", B, 80)
    windows = FlowWindows(RiskSettings())
    rows = traffic.rows()
    windows.advance(rows, ("a",))
    assert windows.counts()["sources_placed"] == len({(r["orig_hi"], r["orig_lo"]) for r in rows})


def test_late_rows_neither_decay_nor_break(traffic: Any) -> None:
    traffic.begin(100, A, B, 80)
    windows = FlowWindows(RiskSettings())
    rows = traffic.rows()
    windows.advance(rows, ("a",))
    rows["ts"] -= 50_000_000_000
    view = windows.advance(rows, ("a",))
    assert view.value(0, "src_starts_10") == 2
    rows["ts"] = -5
    assert np.isfinite(windows.advance(rows, ("a",)).matrix).all()


def test_features_are_finite_for_extreme_rows(traffic: Any) -> None:
    traffic.begin(0, A, B, 65535)
    rows = traffic.rows()
    for name in rows.dtype.names:
        kind = rows.dtype[name]
        rows[name] = np.iinfo(kind).max if kind.kind in "iu" else np.finfo(kind).max
    assert np.isfinite(_bare(rows)).all()


def _bare(rows: Any) -> Any:
    return FlowWindows(RiskSettings()).advance(rows, ("a",)).matrix
