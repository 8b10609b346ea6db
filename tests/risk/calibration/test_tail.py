"""The fitted tail, beside scipy's generalised Pareto distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto

from risk.calibration.tail import Tail, fit_pareto


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.5])
def test_the_fit_finds_what_scipy_drew(shape: float) -> None:
    drawn = np.sort(genpareto.rvs(shape, scale=2.0, size=20_000, random_state=1))
    found, scale = fit_pareto(drawn)
    assert found == pytest.approx(shape, abs=0.05)
    assert scale == pytest.approx(2.0, rel=0.1)


def test_a_tail_that_ends_is_taken_as_exponential() -> None:
    drawn = np.sort(genpareto.rvs(-0.4, scale=2.0, size=5000, random_state=1))
    assert fit_pareto(drawn)[0] == 0.0


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_p_values_beyond_the_known_are_those_of_the_distribution(shape: float) -> None:
    known = np.sort(genpareto.rvs(shape, size=50_000, random_state=2))
    tail, far = Tail.fit(known), genpareto.isf([1e-6, 1e-7], shape)
    found = tail.p_values(far)
    assert (np.abs(np.log10(found) - np.array([-6.0, -7.0])) < 0.8).all()


def test_within_the_known_it_is_the_rank() -> None:
    tail = Tail.fit(np.arange(1000.0))
    assert tail.p_values(np.array([0.0, 500.0, 999.0])).tolist() == [1001 / 1001, 501 / 1001, 2 / 1001]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e6, 1e6), max_size=800), st.lists(st.floats(allow_nan=False), min_size=2, max_size=9))
def test_p_is_a_probability_that_falls(known: list[float], asked: list[float]) -> None:
    found = Tail.fit(np.sort(np.array(known))).p_values(np.sort(np.array(asked)))
    assert (found > 0).all()
    assert (found <= 1).all()
    assert (np.diff(found) <= 0).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(450, 900), st.integers(1, 40), st.sampled_from([0.04, 0.01, 1e-3, 1e-5]))
def test_above_the_threshold_p_values_are_smaller(seed: int, number: int, kinds: int, p_value: float) -> None:
    known = np.sort(np.random.default_rng(seed).integers(0, kinds, number) ** 1.5)
    tail = Tail.fit(known)
    limit = tail.threshold(p_value)
    above, below = tail.p_values(np.array([np.nextafter(limit + 1e-9, np.inf), limit - 1e-6]))
    assert above <= max(p_value, 1 / (number + 1)) * (1 + 1e-6)
    assert below >= min(p_value, 1 / (number + 1)) * (1 - 1e-6)


def test_without_scores_no_threshold_can_be_crossed() -> None:
    assert Tail.fit(np.zeros(0)).threshold(0.01) == np.inf
