"""Standardised features and the way back."""

from __future__ import annotations

import numpy as np

from headstart.numerics.standardisation import standardise


def test_columns_have_mean_zero_and_variance_one_and_constant_ones_vanish() -> None:
    features = np.random.default_rng(0).normal(5, 3, size=(100, 4))
    features[:, 2] = 1e6 + 1e-4 * (np.arange(100) % 2)
    standard, _ = standardise(features)
    assert np.allclose(standard.mean(axis=0), 0)
    assert np.allclose(standard.std(axis=0), [1, 1, 0, 1])


def test_a_dead_feature_of_a_network_vanishes_and_a_column_in_a_large_unit_stays() -> None:
    features = np.random.default_rng(0).normal(size=(100, 80))
    features[:, 7] *= 1e-9
    wide, of_network = standardise(features)
    few, of_table = standardise(features[:, 5:9])
    assert (wide[:, 7] == 0).all() and np.isinf(of_network.scale[7]) and np.isinf(of_network.scale).sum() == 1
    assert np.allclose(few.std(axis=0), 1) and np.isfinite(of_table.scale).all()


def test_a_folded_map_gives_the_same_outputs_on_raw_features() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(2, 7, size=(50, 5))
    features[:, 0] = 3.0
    weight, bias = generator.normal(size=(3, 5)), generator.normal(size=3)
    standard, standardisation = standardise(features)
    raw, raw_bias = standardisation.fold(weight, bias)
    assert np.allclose(standard @ weight.T + bias, features @ raw.T + raw_bias)
    assert (raw[:, 0] == 0).all()


def test_one_scale_for_all_keeps_proportions() -> None:
    features = np.random.default_rng(0).normal(size=(500, 3)) * [1, 2, 0]
    standard, standardisation = standardise(features, each=False)
    assert np.isclose(standard.var(axis=0).mean(), 1.0)
    assert np.isclose(standard[:, 1].std() / standard[:, 0].std(), features[:, 1].std() / features[:, 0].std())
    assert np.isinf(standardisation.scale[2])


def test_half_precision_features_are_standardised_in_single_precision() -> None:
    features = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float16)
    standard, _ = standardise(features)
    assert standard.dtype == np.float32
    assert np.allclose(standard.std(axis=0), 1, atol=1e-5)


def test_of_few_examples_a_networks_features_are_scaled_alike_and_of_many_each_for_itself() -> None:
    features = np.random.default_rng(0).normal(size=(10_000, 64)) * np.linspace(1, 3, 64)
    few, many, columns = (standardise(part)[1].scale for part in (features[:20], features, features[:20, :8]))
    assert np.isclose(few[-1] / few[0], 1.2, atol=0.2) and np.isclose(many[-1] / many[0], 3.0, atol=0.1)
    variance = features[:20].var(axis=0)
    assert np.allclose(few**2, (20 * variance + 100 * np.median(variance)) / 120)
    assert np.allclose(columns, features[:20, :8].std(axis=0))
