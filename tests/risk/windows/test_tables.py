"""Sketches count distinct things, tables evict fairly and stay as large as they are."""

import math
from typing import Any

import numpy as np
import pytest

from risk.settings import RiskSettings
from risk.windows import FlowWindows, kernel

A, B = "192.0.2.7", "198.51.100.9"


@pytest.mark.parametrize("number", [1, 5, 20, 60, 300, 5000])
def test_a_sketch_is_right_within_three_standard_errors(number: int) -> None:
    errors = []
    for turn in range(30):
        cells, registers = np.zeros(3, np.float32), np.zeros(kernel.REGISTERS, np.uint8)
        for thing in range(number):
            key = np.uint64(kernel.mix(np.uint64(turn * 10**6 + thing + 1)))
            for _ in range(2):  # twice is once
                kernel.sketch_add(cells, registers, 0, 0, key)
        errors.append(cells[1] / number - 1)
    assert abs(np.mean(errors)) < 0.12
    assert np.std(errors) < 3 * 1.04 / math.sqrt(kernel.REGISTERS)


def test_a_sketch_begins_anew_each_span_and_remembers_the_last(traffic: Any) -> None:
    for step in range(60):
        traffic.begin(step * 0.1, A, f"10.1.{step // 200}.{step % 200}", 80)
    traffic.begin(600, A, B, 80)
    traffic.begin(1900, A, B, 80)
    view = FlowWindows(RiskSettings()).advance(traffic.rows(), ("a",))
    found = view.feature("src_distinct_peers")
    assert 35 <= found[59] <= 95
    assert found[60] == found[59]  # the last span is remembered, whatever this one has
    assert found[61] < 3


def test_who_floods_a_table_forgets_its_own(make_traffic: Any) -> None:
    def kept(flood: bool) -> int:
        windows, traffic = FlowWindows(RiskSettings(max_entities=256)), make_traffic()
        for host in range(60):
            traffic.talk(host * 0.01, f"10.0.0.{host}", B, 443)
        windows.advance(traffic.rows(), ("a",))
        if flood:
            traffic = make_traffic()
            for step in range(5000):
                traffic.begin(10 + step * 0.001, A, f"10.9.{step // 250}.{step % 250}", 80)
            windows.advance(traffic.rows(), ("a",))
        traffic = make_traffic()
        for host in range(60):
            traffic.begin(30 + host * 0.01, f"10.0.0.{host}", B, 443)
        view = windows.advance(traffic.rows(), ("a",))
        counts = windows.counts()
        assert counts["pairs_evicted"] == 0 or flood
        return int((view.feature("new_pair") == 0).sum())

    assert kept(flood=False) == 60
    assert kept(flood=True) >= 45  # of pairs that are older than 5,000 newer ones in 320 slots


def test_what_is_lost_is_counted(make_traffic: Any) -> None:
    windows, traffic = FlowWindows(RiskSettings(max_entities=64)), make_traffic()
    for step in range(2000):
        traffic.begin(step * 0.001, f"10.{step // 250}.0.{step % 250}", B, 80)
    windows.advance(traffic.rows(), ("a",))
    counts = windows.counts()
    assert counts["sources_placed"] == 2000
    assert counts["sources_evicted"] >= 2000 - 80


def test_an_entity_takes_at_most_700_bytes() -> None:
    settings = RiskSettings(max_entities=1 << 14)
    windows = FlowWindows(settings)
    tables = [value for value in vars(windows).values() if isinstance(value, kernel.Table)]
    assert len(tables) == 5
    total = sum(array.nbytes for table in tables for array in table)
    assert total / settings.max_entities <= 700
