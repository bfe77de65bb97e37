"""Scores against longhand versions of their papers' formulas, degenerate cases included."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.covariance import LedoitWolf

from headstart.contracts.score import LabelledFeatures
from headstart.kernel import registry

N = 40


class Fold(NamedTuple):
    rest: np.ndarray
    held: np.ndarray


def score(name: str, features: np.ndarray, targets: np.ndarray) -> float:
    parts = np.array_split(np.arange(len(features)), 4)
    folds = [Fold(np.setdiff1d(np.arange(len(features)), part), part) for part in parts]
    found: float = registry.plugin("scores", name)().score(LabelledFeatures(features, {"label": targets}, folds))
    return found


def features(width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), [20, 15, 5])
    return (draws.normal(size=(N, width)) + draws.normal(size=(3, width))[labels]).astype(np.float32), labels


def longhand_evidence(f: np.ndarray, y: np.ndarray) -> float:
    """The greatest log density of y ~ N(0, F F' / alpha + I / beta), per example, by a general optimiser."""
    f, y = f.astype(np.float64), y.astype(np.float64)

    def loss(logs: np.ndarray) -> float:
        logs = np.clip(logs, -18, 18)
        covariance = f @ f.T / np.exp(logs[0]) + np.eye(len(y)) / np.exp(logs[1])
        return 0.5 * float(np.linalg.slogdet(2 * np.pi * covariance)[1] + y @ np.linalg.solve(covariance, y))

    starts = [np.array([a, b]) for a in (0.0, 3.0) for b in (0.0, 3.0)]
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}
    return -min(minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts) / len(y)


@pytest.mark.parametrize(("width", "seed"), [(6, 0), (3, 1), (30, 2)])
def test_logme_is_the_greatest_evidence_of_each_class_column(width: int, seed: int) -> None:
    given, labels = features(width, seed)
    expected = np.mean([longhand_evidence(given, labels == k) for k in range(3)])
    assert score("logme", given, labels) == pytest.approx(expected, abs=2e-6)


def test_logme_of_quantities_and_of_label_sets_is_that_of_their_columns() -> None:
    given, _ = features()
    y = (given[:, 0] - 2 * given[:, 1] + np.random.default_rng(1).normal(size=N)).astype(np.float32)
    assert score("logme", given, y) == pytest.approx(longhand_evidence(given, y), abs=2e-6)
    sets = np.stack([y > 0, y > 1], axis=1).astype(np.float32)
    expected = np.mean([longhand_evidence(given, column) for column in sets.T])
    assert score("logme", given, sets) == pytest.approx(expected, abs=2e-6)


def test_logme_of_more_features_than_examples() -> None:
    given, labels = features(width=60)
    expected = np.mean([longhand_evidence(given, labels == k) for k in range(3)])
    assert score("logme", given, labels) == pytest.approx(expected, abs=2e-6)


def test_logme_of_features_that_are_all_zero_is_that_of_noise() -> None:
    labels = np.repeat([0, 1], N // 2)
    share = 0.5  # of the mean square of each column
    expected = -0.5 * (np.log(2 * np.pi * share) + 1)
    assert score("logme", np.zeros((N, 4), np.float32), labels) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("width", [6, 80])
def test_h_score_is_the_trace_of_the_shrunk_covariances(width: int) -> None:
    given, labels = features(width)
    f = given.astype(np.float64)
    found = LedoitWolf().fit(f)
    means = np.stack([f[labels == k].mean(axis=0) for k in labels])  # for each example that of its class
    between = np.cov(means, rowvar=False, bias=True)
    expected = np.trace(np.linalg.inv(found.covariance_) @ between) * (1 - found.shrinkage_)
    assert score("h_score", given, labels) == pytest.approx(expected, rel=1e-6)


def test_h_score_of_equal_features_is_zero() -> None:
    assert score("h_score", np.full((N, 4), 3.0, np.float32), features()[1]) == 0.0


def test_knn_is_the_share_that_the_nearest_of_other_folds_vote_right_for() -> None:
    given, labels = features()
    unit = given.astype(np.float64) / np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    right = 0
    for held in np.array_split(np.arange(N), 4):
        rest = np.setdiff1d(np.arange(N), held)
        count = max(1, min(20, len(rest) // (labels[rest].max() + 1)))
        for row in held:
            near = sorted(rest, key=lambda other: -float(unit[row] @ unit[other]))[:count]
            votes: dict[Any, float] = defaultdict(float)
            for other in near:
                votes[labels[other]] += np.exp((unit[row] @ unit[other] - 1) / 0.07)
            right += max(votes, key=lambda k: votes[k]) == labels[row]
    assert score("knn", given, labels) == pytest.approx(right / N)
