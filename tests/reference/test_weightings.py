"""Weightings against versions written out, against scipy, and against the truth of a shift that was made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from headstart.contracts.domains import Domains, LinearHead
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.numerics.class_mix import share_ratios
from headstart.numerics.density_ratio import density_ratio, flattened
from headstart.weighting.bbse import Bbse
from headstart.weighting.density_ratio import DensityRatio
from headstart.weighting.em import Em
from headstart.weighting.kernel_mean_matching import KernelMeanMatching
from headstart.weighting.tradaboost import Tradaboost
from two_domains import CLASSES, domains, right, solve

SHARES = np.array([0.7, 0.25, 0.05])


def test_a_density_ratio_is_that_of_a_cross_fitted_classifier() -> None:
    data = domains(200, 150, move=0.5)
    both = np.concatenate([data.source, data.target]).astype(float)
    points = PCA(4, whiten=True).fit_transform(both) * np.sqrt(350 / 349)
    points = np.concatenate([points, points**2], axis=1)
    domain = np.arange(350) >= 200
    folds = StratifiedKFold(5, shuffle=True, random_state=draw_seed(0, "density ratio") % 2**32)
    expected = np.empty(350)
    for rest, held in folds.split(points, domain):
        share = LogisticRegression(tol=1e-8).fit(points[rest], domain[rest]).predict_proba(points[held])
        expected[held] = share[:, 1] / share[:, 0] * 200 / 150
    found = density_ratio(data.source, data.target, 0, components=4)
    np.testing.assert_allclose(found, np.clip(expected[:200], 1 / 20, 20), rtol=1e-3)


@pytest.mark.parametrize("kind", [DensityRatio, KernelMeanMatching])
def test_weights_follow_the_true_ratio_of_densities(kind: type) -> None:
    draws = np.random.default_rng(0)
    source, target = draws.normal(size=(1500, 2)), draws.normal(size=(1500, 2)) * 0.7 + [0.5, 0]
    none = np.zeros(0, np.int64)
    data = Domains(source, draws.integers(0, CLASSES, 1500), CLASSES, target, source[:0], none)
    true = np.exp((source**2).sum(1) / 2 - ((source - [0.5, 0]) ** 2).sum(1) / 2 / 0.49) / 0.49
    found = kind(least_effective=0.0).weigh(data, solve, 0).weights
    moments = [(found[:, None] * source).mean(0), (found[:, None] * source**2).mean(0)]
    assert np.corrcoef(found, true)[0, 1] > 0.6
    np.testing.assert_allclose(moments[0], [0.5, 0], atol=0.15)


@pytest.mark.parametrize("floor", [0.0, 0.3, 0.9])
def test_weights_are_flattened_until_enough_examples_count(floor: float) -> None:
    weights = np.exp(2 * np.random.default_rng(0).normal(size=500))
    found = flattened(weights, floor)
    share = found.sum() ** 2 / (found**2).sum() / 500
    if floor == 0:
        np.testing.assert_allclose(found, weights / weights.mean(), rtol=1e-4)
    else:
        assert floor <= share < floor + 0.01
    assert np.array_equal(np.argsort(found), np.argsort(weights)) and found.mean() == pytest.approx(1)


@pytest.mark.parametrize("ridge", [0.0, 1.0])
def test_kernel_mean_matching_solves_its_quadratic_program(ridge: float) -> None:
    data = domains(40, 50, move=0.5)
    between = cdist(data.source, data.target, "sqeuclidean")
    width = np.median(between)
    kernel = np.exp(-cdist(data.source, data.source, "sqeuclidean") / width)
    kappa = 40 * np.exp(-between / width).mean(1)

    def cost(w: np.ndarray) -> float:
        return float(w @ kernel @ w / 2 - kappa @ w + ridge * ((w - 1) ** 2).sum() / 2)

    slack = (np.sqrt(40) - 1) / np.sqrt(40)
    best = minimize(
        cost,
        np.ones(40),
        jac=lambda w: kernel @ w - kappa + ridge * (w - 1),
        bounds=[(0, 1000)] * 40,
        constraints=LinearConstraint(np.ones((1, 40)), 40 * (1 - slack), 40 * (1 + slack)),
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    found = KernelMeanMatching(ridge=ridge, least_effective=0).weigh(data, solve, 0).weights
    assert found is not None
    found = found * best.x.mean()
    assert cost(found) <= best.fun + 1e-4 * abs(best.fun)
    if ridge:
        np.testing.assert_allclose(found, best.x, atol=5e-3)


def test_a_large_source_is_matched_in_parts() -> None:
    found = KernelMeanMatching(most=100).weigh(domains(300, 240, move=0.5), solve, 0)
    whole = KernelMeanMatching().weigh(domains(300, 240, move=0.5), solve, 0)
    assert np.corrcoef(found.weights, whole.weights)[0, 1] > 0.8


@pytest.mark.parametrize("kind", [Bbse, Em])
def test_another_mix_of_classes_is_found(kind: type) -> None:
    data = domains(900, 1500, shares=SHARES)
    prior = np.bincount(data.labels) / 900
    np.testing.assert_allclose(kind().weigh(data, solve, 0).ratios * prior, SHARES, atol=0.05)


def test_bbse_solves_the_confusions_of_held_out_examples() -> None:
    data = domains(300, 400, shares=SHARES)
    folds = StratifiedKFold(3, shuffle=True, random_state=draw_seed(0, "bbse") % 2**32)
    confusion, target = np.zeros((CLASSES, CLASSES)), np.zeros((400, CLASSES))
    for rest, held in folds.split(data.labels, data.labels):
        head = solve(data.source[rest], data.labels[rest], None)
        for i, j in zip(head.logits(data.source[held]).argmax(1), data.labels[held]):
            confusion[i, j] += 1 / 300
        exp = np.exp(head.logits(data.target))
        target += exp / exp.sum(1, keepdims=True)
    expected = np.linalg.solve(confusion, np.bincount(target.argmax(1), minlength=CLASSES) / 400)
    assert expected.min() > 0
    shares = expected * confusion.sum(0)
    found = Bbse().weigh(data, solve, 0).ratios
    np.testing.assert_allclose(found, shares / shares.sum() / confusion.sum(0), rtol=1e-6)


def test_no_share_is_below_half_an_example() -> None:
    found = share_ratios(np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.0]), 400)
    np.testing.assert_allclose(found, [0.5 / 400 / 0.5, 2, 1])


def test_tradaboost_is_the_papers_algorithm() -> None:
    data, rounds = domains(150, 10, few=30, move=0.7), 6
    features = np.concatenate([data.source, data.target_labelled])
    labels = np.concatenate([data.labels, data.target_labels])
    weights, votes, shares = np.ones(180), [], []
    for t in range(1, rounds + 1):
        weights = weights / weights.sum() * 180
        head = _ridge(features, labels, weights)
        loss = (head.logits(features).argmax(1) != labels).astype(float)
        error = min(0.5, max(0.5 / 31, (weights[150:] * loss[150:]).sum() / weights[150:].sum()))
        if t >= rounds / 2:
            votes.append(head)
            shares.append(max(np.log((1 - error) / error), 1e-6))
        weights[:150] *= (1 / (1 + np.sqrt(2 * np.log(150) / rounds))) ** loss[:150]
        weights[150:] *= (error / (1 - error)) ** -loss[150:]
    found = Tradaboost(rounds=rounds).weigh(data, _ridge, 0).votes
    assert [share for share, _ in found] == pytest.approx(shares)
    for (_, head), expected in zip(found, votes, strict=True):
        np.testing.assert_allclose(head.weight, expected.weight, rtol=1e-6, atol=1e-9)


def _ridge(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> LinearHead:
    """Weighted least squares of the classes: smooth in the weights."""
    assert weights is not None
    x = np.c_[features.astype(float), np.ones(len(labels))]
    found = np.linalg.solve(x.T * weights @ x + np.eye(x.shape[1]), x.T * weights @ np.eye(CLASSES)[labels])
    return LinearHead(found[:-1].T, found[-1])


def test_tradaboost_beats_the_source_where_labels_of_inputs_differ() -> None:
    data = domains(600, 300, few=150)
    data = data._replace(labels=np.where(data.labels == 2, 0, data.labels))  # the source calls class 2 class 0
    test = domains(3, 900, few=900)
    votes = Tradaboost(rounds=8).weigh(data, solve, 0).votes
    voted = sum(share * head.logits(test.target_labelled) for share, head in votes)
    plain = right(solve(data.source, data.labels, None), test.target_labelled, test.target_labels)
    assert (voted.argmax(1) == test.target_labels).mean() > plain + 0.1


def test_tradaboost_asks_for_labels_of_the_target() -> None:
    with pytest.raises(DataError, match="--target-labels"):
        Tradaboost().weigh(domains(), solve, 0)
