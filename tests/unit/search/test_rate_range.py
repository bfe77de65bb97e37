from __future__ import annotations

import math

import numpy as np
import pytest

from headstart.search.rate_range import Tried, grid, rate_range

START = np.full(16, 1.0)


def tried(rate: float, mean: float, noise: float = 0.02, seed: int = 0) -> Tried:
    """Losses around a mean: hard and easy batches are so for every rate, and each has a little noise of its own."""
    hardness = np.random.default_rng(99).normal(scale=0.3, size=16)
    own = np.random.default_rng(seed).normal(scale=noise, size=16)
    return Tried(rate, mean + hardness - hardness.mean() + own - own.mean())


def test_the_middle_of_the_rates_that_noise_cannot_tell_apart_is_taken() -> None:
    means = {1e-6: 0.9, 1e-5: 0.501, 1e-4: 0.499, 1e-3: 0.502, 1e-2: 0.8}
    found = rate_range([tried(rate, mean, seed=k) for k, (rate, mean) in enumerate(means.items())], START)
    assert found is not None
    assert (found.low, found.rate, found.high) == (1e-5, 1e-4, 1e-3)


def test_hard_batches_do_not_hide_a_difference() -> None:
    found = rate_range([tried(1e-4, 0.50, 0.002, 1), tried(1e-3, 0.52, 0.002, 2)], START)
    assert found is not None
    assert found.low == found.high == 1e-4


def test_a_gap_ends_the_stretch() -> None:
    means = {1e-6: 0.5, 1e-5: 0.7, 1e-4: 0.499}
    found = rate_range([tried(rate, mean, seed=k) for k, (rate, mean) in enumerate(means.items())], START)
    assert found is not None
    assert found.low == 1e-4


def test_rates_that_diverge_are_excluded_and_told_of() -> None:
    unsound = Tried(1e-2, np.full(16, math.nan))
    found = rate_range([tried(1e-4, 0.5), unsound, Tried(1e-1, None)], START)
    assert found is not None
    assert found.rate == 1e-4
    assert "1 diverged" in found.reason


def test_rates_that_make_it_worse_are_no_good() -> None:
    assert rate_range([tried(1e-4, 1.2), tried(1e-3, 1.1)], START) is None
    found = rate_range([tried(1e-4, 0.9), tried(1e-3, 1.01, seed=1)], START)
    assert found is not None
    assert found.high == 1e-4


def test_a_single_batch_has_no_noise_to_hide_in() -> None:
    found = rate_range([Tried(1e-4, np.array([0.5])), Tried(1e-3, np.array([0.6]))], np.array([1.0]))
    assert found is not None
    assert found.high == 1e-4


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_grid_is_geometric_around_its_centre(count: int) -> None:
    rates = grid(1e-3, count)
    assert rates[count // 2] == pytest.approx(1e-3)
    assert np.allclose(np.diff(np.log10(rates)), 0.5)
