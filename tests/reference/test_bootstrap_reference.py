"""The bootstrap against longhand resampling, and how often its intervals cover the truth."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.numerics.bootstrap import bootstrap_weights, interval
from headstart.tasks._reweighted import weighted_means


def test_group_weights_equal_resampling_groups_longhand() -> None:
    groups = np.array([2, 7, 2, 2, 9, 7, 1])
    values = np.arange(7.0)
    weights = np.concatenate(list(bootstrap_weights(7, groups, 200, seed=1)))
    for row in weights:
        repeated = [
            value
            for group in np.unique(groups)
            for _ in range(int(row[groups == group][0]))
            for value in values[groups == group]
        ]
        assert len(repeated) == row.sum()
        assert weighted_means(row[None], values)[0] == pytest.approx(np.mean(repeated))
    per_group = weights[:, [6, 0, 1, 4]]
    assert np.allclose(per_group.mean(axis=0), 1, atol=0.2)
    assert np.allclose(per_group.var(axis=0), 0.75, atol=0.25)


@pytest.mark.parametrize(("n", "accuracy"), [(50, 0.9), (75, 0.95), (100, 0.97), (100, 0.7), (200, 0.98)])
def test_intervals_of_an_accuracy_cover_the_truth(n: int, accuracy: float) -> None:
    generator = np.random.default_rng(n)
    weights = np.concatenate(list(bootstrap_weights(n, None, 500, seed=0)))
    covered = 0
    for _ in range(400):
        right = (generator.random(n) < accuracy).astype(float)
        low, high = interval(weighted_means(weights, right), right.mean(), n, (0.0, 1.0))
        covered += low <= accuracy <= high
    assert 0.91 <= covered / 400 <= 0.99


def test_intervals_over_groups_cover_the_truth_where_intervals_over_examples_do_not() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 10)
    covered = np.zeros(2)
    for trial in range(150):
        chance = generator.beta(4, 1, size=30)
        right = (generator.random(300) < chance[groups]).astype(float)
        for candidate, by in enumerate((groups, None)):
            weights = np.concatenate(list(bootstrap_weights(300, by, 300, seed=trial)))
            replicates = weighted_means(weights, right)
            low, high = interval(replicates, right.mean(), 30 if candidate == 0 else 300, (0.0, 1.0))
            covered[candidate] += low <= 0.8 <= high
    assert covered[0] / 150 >= 0.9
    assert covered[1] / 150 < 0.9
