"""Resamples and intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headstart.numerics import bootstrap
from headstart.numerics.bootstrap import bootstrap_weights, difference_interval, interval
from headstart.tasks._reweighted import weighted_means


def drawn(*arguments: object) -> np.ndarray:
    return np.concatenate(list(bootstrap_weights(*arguments)))


def test_a_resample_draws_as_many_examples_as_there_are() -> None:
    weights = drawn(30, None, 50, 0)
    assert weights.shape == (50, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == weights.round()).all() and weights.min() == 0 and weights.max() >= 3


def test_the_same_seed_gives_the_same_resamples_and_another_seed_others() -> None:
    assert np.array_equal(drawn(20, None, 10, 3), drawn(20, None, 10, 3))
    assert not np.array_equal(drawn(20, None, 10, 3), drawn(20, None, 10, 4))


def test_a_group_is_drawn_whole() -> None:
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    weights = drawn(6, groups, 40, 0)
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_blocks_keep_memory_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "BLOCK", 100)
    blocks = list(bootstrap_weights(30, None, 10, 0))
    assert [len(block) for block in blocks] == [3, 3, 3, 1]


def test_the_spread_of_resampled_means_is_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=200)
    means = weighted_means(drawn(200, None, 2000, 0), values)
    assert means.std() == pytest.approx(values.std() / math.sqrt(200), rel=0.05)


def test_a_mean_without_weight_is_undefined() -> None:
    assert np.isnan(weighted_means(np.zeros((1, 3)), np.ones(3))).all()


def test_all_right_is_never_sure() -> None:
    low, high = interval(np.ones(1000), 1.0, 30, (0.0, 1.0))
    assert high == 1.0
    assert low == pytest.approx(30 / (30 + 2.04523**2), abs=1e-5)


def test_one_group_leaves_nearly_everything_open() -> None:
    low, high = interval(np.full(1000, 0.8), 0.8, 1, (0.0, 1.0))
    assert low < 0.05 and high > 0.95
    assert all(map(math.isnan, interval(np.full(1000, 3.0), 3.0, 1)))


def test_an_interval_contains_its_figure_though_all_resamples_lie_above() -> None:
    replicates = np.random.default_rng(0).uniform(2, 3, size=500)
    assert interval(replicates, 1.5, 50)[0] == 1.5
    low, high = interval(replicates / 10, 0.05, 50, (0.0, 1.0))
    assert low <= 0.05 <= high


def test_an_interval_stays_within_the_bounds() -> None:
    replicates = np.random.default_rng(0).normal(0.99, 0.1, size=500)
    assert interval(replicates, 0.99, 20, (-math.inf, 1.0))[1] == 1.0
    assert interval(replicates - 0.98, 0.01, 20, (0.0, math.inf))[0] == 0.0


def test_with_one_bound_the_interval_is_of_the_logarithm_of_the_distance_from_it() -> None:
    replicates = np.exp(np.random.default_rng(0).normal(math.log(2), 0.1, size=4000))
    half = 2.262157 * 0.1 * math.sqrt(10 / 9)
    expected = pytest.approx((2 / math.exp(half), 2 * math.exp(half)), rel=0.01)
    assert interval(replicates, 2.0, 10, (0.0, math.inf)) == expected
    low, high = interval(1 - replicates, -1.0, 10, (-math.inf, 1.0))
    assert (1 - high, 1 - low) == expected


def test_undefined_resamples_are_left_out_and_an_undefined_figure_has_no_interval() -> None:
    replicates = np.random.default_rng(0).normal(size=500)
    holed = np.concatenate([replicates, np.full(100, np.nan)])
    assert interval(holed, 0.0, 50) == interval(replicates, 0.0, 50)
    assert all(map(math.isnan, interval(replicates, math.nan, 50)))


def test_few_examples_widen_the_percentile_interval_as_hesterberg_says() -> None:
    replicates = np.linspace(0, 1, 100_001)
    low, high = interval(replicates, 0.5, 10)
    assert low == pytest.approx(0.00855, abs=2e-4)  # Phi(-sqrt(10/9) * t_{9, 0.975}) = Phi(-2.3845)
    assert high == pytest.approx(1 - 0.00855, abs=2e-4)
    assert interval(replicates, 0.5, 100_000)[0] == pytest.approx(0.025, abs=2e-4)


def test_equal_predictions_on_few_examples_may_still_differ() -> None:
    low, high = difference_interval(np.zeros(1000), 0.0, 30, 1.0)
    assert -low == high == pytest.approx(2.04523**2 / (30 + 2.04523**2), abs=1e-5)
    assert difference_interval(np.zeros(1000), 0.0, 30) == (0.0, 0.0)


def test_a_total_difference_stays_within_its_span() -> None:
    low, high = difference_interval(np.ones(1000), 1.0, 40, 1.0)
    assert 0.8 < low < 1.0 and high == 1.0
