from __future__ import annotations

import numpy as np
import pytest

from headstart.evidence.feature_neighbours import neighbours, order_of, outliers


def test_neighbours_are_those_of_all_pairs_with_copies_left_out() -> None:
    features = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    features[7] = features[3]
    cluster = np.arange(40)
    cluster[7] = 3
    near = neighbours(features, 0, cluster)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for row in range(40):
        others = [k for k in range(40) if cluster[k] == k and cluster[row] != k]
        distances = sorted((float(1 - unit[row] @ unit[k]), k) for k in others)[:10]
        assert near.rows[row].tolist() == [k for _, k in distances]
        np.testing.assert_allclose(near.distances[row], [distance for distance, _ in distances], atol=1e-6)
    straight = neighbours(features, 0, angles=False)
    lengths = np.sort(np.linalg.norm(features[:, None] - features[None], axis=2), axis=1)[:, 1:11]
    np.testing.assert_allclose(straight.distances, lengths, atol=1e-3)


def test_planted_outliers_are_found_and_clean_data_have_none_in_nearly_all_cases() -> None:
    told = 0
    for seed in range(40):
        features = np.random.default_rng(seed).normal(size=(300, 16)) + 4.0
        told += len(outliers(neighbours(features, 0))[0]) > 0
        if seed == 0:
            features[5] = 4.0 - 30.0 * np.eye(16)[2]
            assert outliers(neighbours(features, 0))[0].tolist() == [5]
    assert told <= 4


@pytest.mark.parametrize("walk", [True, False])
def test_an_order_that_drifts_is_told_from_a_random_one_within_classes(walk: bool) -> None:
    draws = np.random.default_rng(3)
    strata = np.repeat([0, 1], 60)
    steps = np.linspace(0, 6, 60)
    angle = np.concatenate([steps, steps]) if walk else draws.permutation(np.concatenate([steps, steps]))
    features = np.stack([np.cos(angle), np.sin(angle), 5.0 * strata], axis=1) + 0.05 * draws.normal(size=(120, 3))
    found = order_of(neighbours(features, 0), strata, 0)
    assert found is not None
    assert (found.p <= 0.01 and found.apart < found.expected / 2) if walk else found.p > 0.01


def test_classes_one_after_the_other_are_no_order() -> None:
    strata = np.repeat([0, 1], 60)
    features = np.random.default_rng(0).normal(size=(120, 8)) + 9.0 * np.eye(2, 8)[strata]
    found = order_of(neighbours(features, 0), strata, 0)
    assert found is not None and found.p > 0.01
