"""Regions that one set lacks are found with the examples in them; a smooth change of density is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.kernel_ridge import KernelRidge

from headstart.evidence import missing_regions as module
from headstart.evidence.missing_regions import components, gaussian, missing_regions
from headstart.evidence.shift import hat_matrix, leave_one_out


def sets(seed: int, gone: bool, count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of both sets, and which of the other are in the region."""
    draws = np.random.default_rng(seed)
    points = draws.normal(size=(2 * count, 3))
    points[::4, 0] += 6
    region = points[:, 0] > 3
    other = np.arange(2 * count) >= count
    kept = ~(region & ~other) if gone else np.ones(2 * count, bool)
    found = components(points[kept], 3)
    return found[~other[kept]], found[other[kept]], region[kept][other[kept]]


def test_a_region_that_the_data_lack_is_found_and_the_reverse_is_not() -> None:
    one, other, inside = sets(0, gone=True, count=600)
    theirs, mine = missing_regions(one, other, np.random.default_rng(0))
    assert theirs.p < 0.01 < mine.p and inside[theirs.rows].mean() > 0.9 and theirs.others <= 1
    assert theirs.p == pytest.approx(4 * binom.cdf(theirs.others, len(theirs.rows) + theirs.others, 0.1))


def test_sets_that_have_the_same_regions_are_not_said_to_lack_any() -> None:
    least = [
        min(r.p for r in missing_regions(*sets(seed, gone=False, count=150)[:2], np.random.default_rng(seed)))
        for seed in range(20)
    ]
    assert min(least) > 0.05


def test_scores_are_those_of_kernel_ridge_without_the_example() -> None:
    draws = np.random.default_rng(0)
    kernel = gaussian(draws.normal(size=(24, 3)))
    centring = np.eye(24) - 1 / 24
    gram, sign = centring @ kernel @ centring, np.repeat([-1.0, 1.0], 12)
    hat = hat_matrix(gram, 6.0)
    assert np.trace(hat) == pytest.approx(6)
    squares = np.linalg.eigvalsh(gram)
    grid = np.exp(np.linspace(-10, 5, 300_001))
    penalty = grid[np.abs((squares[:, None] / (squares[:, None] + grid)).sum(axis=0) - 6).argmin()]
    for row in (0, 13):
        rest = np.delete(np.arange(24), row)
        model = KernelRidge(alpha=penalty, kernel="precomputed").fit(gram[np.ix_(rest, rest)], sign[rest])
        expected = model.predict(gram[[row]][:, rest])[0]
        assert leave_one_out(hat, sign[:, None])[row, 0] == pytest.approx(expected, abs=1e-3)


def test_few_and_equal_examples_are_no_fault() -> None:
    assert module.SHARES[0] * 3 < 1
    flat = components(np.ones((6, 5)), 3)
    theirs, mine = missing_regions(flat[:3], flat[3:], np.random.default_rng(0))
    assert theirs.p == mine.p == 1.0
