"""The conformal radius against its definition, and the coverage that it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headstart.numerics.conformal import fewest, radius


@pytest.mark.parametrize(("n", "coverage"), [(9, 0.9), (10, 0.9), (19, 0.9), (20, 0.5), (99, 0.95), (7, 0.8)])
def test_it_is_the_score_of_that_rank(n: int, coverage: float) -> None:
    scores = np.random.default_rng(n).permutation(n).astype(float)
    rank = math.ceil(round((n + 1) * coverage, 9))
    assert radius(scores, coverage) == (np.sort(scores)[rank - 1] if rank <= n else math.inf)


def test_groups_count_alike_whatever_their_size() -> None:
    scores, groups = np.array([5.0, 1, 1, 1, 1, 1, 2, 3]), np.array([0, 1, 1, 1, 1, 1, 2, 3])
    # masses of 1/5 for each group, so 1, 2, 3, 5 are reached at .2, .4, .6, .8
    assert [radius(scores, level, groups) for level in (0.2, 0.4, 0.5, 0.6, 0.8, 0.81)] == [1, 2, 3, 3, 5, math.inf]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_fewest_examples_that_do(coverage: float) -> None:
    n = fewest(coverage)
    assert math.isfinite(radius(np.arange(n), coverage)) and radius(np.arange(n - 1), coverage) == math.inf


def test_new_examples_of_new_groups_are_covered() -> None:
    draws = np.random.default_rng(0)

    def grouped(count: int) -> tuple[np.ndarray, np.ndarray]:
        groups = np.repeat(np.arange(count), draws.integers(1, 9, count))
        return draws.normal(0, 1, count)[groups] + draws.normal(0, 0.2, len(groups)), groups

    reached = []
    for _ in range(200):
        (known, groups), (new, _) = grouped(40), grouped(1)
        reached.append((new <= radius(known, 0.9, groups)).mean())
    assert 0.86 <= np.mean(reached) <= 0.96
