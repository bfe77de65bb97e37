"""Inputs unlike the training data are told from inputs like them, at the rate that is promised."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evidence.novelty import NEAREST, RATE, Reference


def drawn(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(0, 1, (count, 8)) * np.array([1, 2, 3, 0.1, 0.1, 0.1, 0.1, 0.1])
    found[:, 3] += shift
    return found + 5


@pytest.mark.parametrize("angles", [True, False])
def test_distances_are_those_of_the_definition(angles: bool) -> None:
    train, held_out, new = drawn(50, 0), drawn(40, 1), drawn(7, 2)
    kept = Reference.of(train, held_out, angles=angles)
    mean = train.mean(axis=0)
    if angles:
        points, asked = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train - mean, new - mean))
        far = 1 - asked @ points.T
    else:
        points, asked = train / train.std(axis=0), new / train.std(axis=0)
        far = np.linalg.norm(asked[:, None] - points[None], axis=2)
    np.testing.assert_allclose(kept.distances(new), np.sort(far, axis=1)[:, :NEAREST].mean(axis=1), rtol=2e-4)
    assert np.array_equal(kept.nearest(new, 1)[0][:, 0], far.argmin(axis=1))
    p = [(1 + (kept.held_out >= d - 1e-12).sum()) / 41 for d in kept.distances(new)]
    np.testing.assert_allclose(kept.p_values(kept.distances(new)), p)


@pytest.mark.parametrize("angles", [True, False])
def test_few_like_inputs_are_flagged_and_most_unlike_ones(angles: bool) -> None:
    rates = []
    for seed in range(20):
        kept = Reference.of(drawn(300, 3 * seed), drawn(100, 3 * seed + 1), angles=angles)
        rates.append(kept.unlike(kept.distances(drawn(100, 3 * seed + 2))).mean())
        assert kept.unlike(kept.distances(drawn(100, 3 * seed + 2, shift=25))).mean() > 0.9
    assert np.mean(rates) <= RATE + 0.01
