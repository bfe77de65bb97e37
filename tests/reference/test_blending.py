"""Weights of a blend against other ways to the same optimum, the limits of the pull, and mixing as its formula says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, logit, softmax

from headstart.contracts.blended_head import Link, mixed
from headstart.numerics.blending import weights_by_likelihood, weights_by_squares
from headstart.pipeline.blend_settings import BlendSettings


def logits_of(labels: np.ndarray, skill: float, seed: int) -> np.ndarray:
    """Logits of three classes that know the label as well as `skill` says."""
    noise = np.random.default_rng(seed).normal(size=(len(labels), 3))
    return noise + skill * np.eye(3)[labels]


LABELS = np.random.default_rng(0).integers(3, size=80)


def log_likelihoods(*skills: float) -> np.ndarray:
    each = [log_softmax(logits_of(LABELS, skill, seed), axis=1) for seed, skill in enumerate(skills)]
    return np.stack([one[np.arange(len(LABELS)), LABELS] for one in each], axis=1)


def by_expectation_maximisation(log_p: np.ndarray, pull: float) -> np.ndarray:
    """The weights of a mixture with a Dirichlet prior, as Dempster, Laird & Rubin 1977 find them."""
    weights = np.full(log_p.shape[1], 1 / log_p.shape[1])
    for _ in range(4_000):
        shares = softmax(log_p + np.log(np.maximum(weights, 1e-300)), axis=1).sum(axis=0)
        shares[0] += pull
        weights = shares / shares.sum()
    return weights


@pytest.mark.parametrize("pull", [0.0, 1.0, 9.0])
@pytest.mark.parametrize("skills", [(1.5, 1.8), (1.0, 3.0), (1.5, 1.4, 1.8)])
def test_weights_of_probabilities_are_those_of_expectation_maximisation(skills: tuple[float, ...], pull: float) -> None:
    log_p = log_likelihoods(*skills)
    found = weights_by_likelihood(log_p, pull)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    assert found == pytest.approx(by_expectation_maximisation(log_p, pull), abs=1e-4)


@pytest.mark.parametrize("pull", [0.0, 4.0])
def test_weights_of_numbers_are_the_lowest_of_a_grid(pull: float) -> None:
    draws = np.random.default_rng(1)
    truth = draws.normal(size=60)
    predictions = np.stack([truth + draws.normal(size=60), truth + 0.8 * draws.normal(size=60)], axis=1)
    found = weights_by_squares(predictions, truth, pull)
    grid = np.linspace(1e-6, 1 - 1e-6, 100_001)
    apart = predictions[:, :1] * (1 - grid) + predictions[:, 1:] * grid - truth[:, None]
    variance = ((predictions[:, 0] - truth) ** 2).mean()
    losses = (apart**2).sum(axis=0) / (2 * variance) - pull * np.log(1 - grid)
    assert found[1] == pytest.approx(grid[losses.argmin()], abs=1e-3)
    assert 0.1 < found[1] < 0.9


def test_a_stronger_pull_leaves_the_first_model_more_and_an_infinite_one_all() -> None:
    log_p = log_likelihoods(1.5, 2.0)
    shares = [weights_by_likelihood(log_p, pull)[0] for pull in (0.0, 1.0, 10.0, 100.0, 1e4, 1e12)]
    assert shares == sorted(shares) and shares[0] < 0.5 and shares[-1] > 1 - 1e-6
    assert weights_by_likelihood(log_p, math.inf).tolist() == [1.0, 0.0]
    assert weights_by_squares(log_p, np.zeros(len(log_p)), math.inf).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("pull", [0.0, 3.0])
def test_a_useless_second_model_gets_next_to_no_weight(pull: float) -> None:
    assert weights_by_likelihood(log_likelihoods(4.0, -1.0), pull)[1] < 0.01
    truth = np.arange(50.0)
    constant = np.stack([truth + np.sin(truth), np.full(50, 3.0)], axis=1)
    assert weights_by_squares(constant, truth, pull)[1] < 0.01


def test_examples_count_as_often_as_their_counts_say() -> None:
    log_p, twice = log_likelihoods(1.5, 1.8), np.where(np.arange(80) < 20, 2.0, 1.0)
    repeated = np.concatenate([log_p, log_p[:20]])
    assert weights_by_likelihood(log_p, 3.0, twice) == pytest.approx(weights_by_likelihood(repeated, 3.0), abs=1e-5)


@pytest.mark.parametrize("link", ["classes", "labels", "numbers"])
def test_answers_are_mixed_as_the_formula_says(link: Link) -> None:
    each, weights = np.random.default_rng(2).normal(size=(5, 2, 3)), np.array([0.3, 0.7])
    found = mixed(torch.from_numpy(each), torch.from_numpy(weights), link).numpy()
    if link == "classes":
        expected = np.log(np.einsum("bmo,m->bo", softmax(each, axis=2), weights))
    elif link == "labels":
        expected = logit(np.einsum("bmo,m->bo", expit(each), weights))
    else:
        expected = np.einsum("bmo,m->bo", each, weights)
    assert found == pytest.approx(expected)


def test_the_usual_pull_keeps_the_gain_of_none_and_is_seldom_worse_than_the_first_model() -> None:
    """The setting was chosen on such draws: two models of unequal skill whose errors are correlated, 32 examples."""
    draws, classes = np.random.default_rng(0), 3
    gains: dict[float, list[float]] = {0.0: [], BlendSettings().shrinkage: []}
    for _ in range(60):
        skill = draws.uniform(0.5, 2.0)
        skills = skill, skill + draws.normal(0.0, 0.5)
        labels = draws.integers(classes, size=2_032)
        shared = np.sqrt(0.6) * draws.normal(size=(len(labels), classes))
        each = [
            one * np.eye(classes)[labels] + shared + np.sqrt(0.4) * draws.normal(size=shared.shape) for one in skills
        ]
        rows = np.arange(32)
        log_p = np.stack([log_softmax(one, axis=1)[rows, labels[:32]] for one in each], axis=1)
        right = [(one[32:].argmax(axis=1) == labels[32:]).mean() for one in each]
        for shrinkage, found in gains.items():
            weights = weights_by_likelihood(log_p, shrinkage * math.sqrt(32))
            mixture = np.tensordot(weights, [softmax(one[32:], axis=1) for one in each], axes=1)
            found.append((mixture.argmax(axis=1) == labels[32:]).mean() - right[0])
    without, usual = (np.array(found) for found in gains.values())
    assert usual.mean() > 0.9 * without.mean() > 0.01
    assert (usual < -0.01).mean() <= 0.02 and (usual < -0.01).mean() <= (without < -0.01).mean()
