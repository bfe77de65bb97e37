"""Labels given inputs: a difference between sets is found, a change of inputs or of the mix alone is none."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evidence.concept_shift import STRATA, labels_given_inputs
from headstart.evidence.held_out_classes import held_out_classes
from headstart.evidence.missing_regions import components, gaussian
from headstart.evidence.shift import PERMUTATIONS, permuted
from headstart.kernel.randomness import draw_seed


def world(kind: str, seed: int, count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, classes and sets, both of `count` examples."""
    draws = np.random.default_rng(seed)
    points = draws.normal(size=(2 * count, 4))
    other = np.arange(2 * count) >= count
    if kind == "inputs":
        points[other, 0] += 1.0
    classes = (points[:, 0] + points[:, 1] + draws.normal(size=2 * count) > 0).astype(np.int64)
    if kind == "concept":
        turned = other & (points[:, 1] > 0.3)
        classes[turned] = 1 - classes[turned]
    if kind == "mix":
        kept = ~other | (classes == 0) | (draws.random(2 * count) < 0.3)
        points, classes, other = points[kept], classes[kept], other[kept]
    return components(points, 4), classes, other


def test_labels_that_are_turned_round_in_a_region_are_found() -> None:
    for at_one_mix in (False, True):
        _, p = labels_given_inputs(*world("concept", 0, 140), 2, 0, at_one_mix=at_one_mix)
        assert p == pytest.approx(1 / 500)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_one_mix"), [("none", False), ("none", True), ("inputs", False), ("mix", True)])
def test_false_alarms_are_as_rare_as_the_level_says(kind: str, at_one_mix: bool) -> None:
    found = [labels_given_inputs(*world(kind, seed), 2, seed, at_one_mix=at_one_mix)[1] for seed in range(8)]
    assert sum(p <= 0.05 for p in found) <= 2  # 0.4 expected, more than 2 in one run of 170


def test_the_statistic_is_the_double_sum_and_p_its_place_among_permutations() -> None:
    points, classes, other = world("concept", 1, 40)
    probabilities, _ = held_out_classes(points, classes, 2, 0)
    of_set, _ = held_out_classes(points, other.astype(np.int64), 2, 0)
    residuals, kernel = np.eye(2)[classes] - probabilities, gaussian(points)
    centred = probabilities - probabilities.mean(axis=0)
    kernel *= 1 + centred @ centred.T / np.mean([float(one @ one) for one in centred])
    strata = np.array_split(np.argsort(of_set[:, 1], kind="stable"), STRATA)
    draws = np.random.default_rng(draw_seed(0, "labels of an input"))
    sets = [other.astype(float), *(permuted(other.astype(float), strata, draws) for _ in range(PERMUTATIONS))]
    like = np.array(
        [[kernel[i, j] * (i != j) * float(residuals[i] @ residuals[j]) for j in range(80)] for i in range(80)]
    )
    totals = []
    for drawn in sets:
        signs = np.empty(80)
        for rows in strata:
            signs[rows] = drawn[rows] - drawn[rows].mean()
        totals.append(float(signs @ like @ signs) / 80)
    value, p = labels_given_inputs(points, classes, other, 2, 0)
    assert value == pytest.approx(totals[0] - np.mean(totals[1:]), abs=1e-6)
    assert p == pytest.approx((1 + sum(one >= totals[0] for one in totals[1:])) / 500, abs=0.005)


def test_held_out_probabilities_are_those_of_models_without_the_example() -> None:
    points, classes, _ = world("none", 2, 40)
    before, theirs = held_out_classes(points, classes, 3, 0, points[:7])
    assert before.shape == (80, 3) and theirs.shape == (7, 3) and before[:, 2].max() < 1e-3
    assert np.log(before[np.arange(80), classes]).mean() > np.log(0.5)
    moved = points.copy()
    moved[0] += 1.0
    after, _ = held_out_classes(moved, classes, 3, 0)
    assert abs(after[0] - before[0]).max() > 1e-3
