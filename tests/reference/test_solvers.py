"""The solved heads against scikit-learn's own solvers on the same features."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from head_shapes import SHAPES
from headstart.engine.solved import logistic
from headstart.engine.solved.solve import solve_head
from headstart.numerics.standardisation import MANY, PRIOR
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression
from labelled import blobs, labelled


def solved(features: np.ndarray, labels: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Probabilities (examples, classes) of the solved head on fresh features."""
    task = Classification().bind(labelled([f"c{k:02}" for k in labels]), SHAPES)
    head, _ = solve_head(task, features.astype(np.float32), {"label": labels}, None, seed=0)
    with torch.no_grad():
        return head(torch.from_numpy(fresh.astype(np.float32))).double().softmax(dim=1).numpy()


def by_default(features: np.ndarray, labels: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """The same by LogisticRegressionCV at its defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegressionCV().fit(features, labels).predict_proba(fresh)


def compared(features: np.ndarray, labels: np.ndarray, n: int, draws: int) -> tuple[float, float]:
    """Mean differences, ours minus theirs, of accuracy and of log-loss over draws of n training examples."""
    differences = []
    for draw in range(draws):
        rows = np.random.default_rng(draw).permutation(len(labels))
        train, test = rows[:n], rows[n : n + 1500]
        ours, theirs = (solve(features[train], labels[train], features[test]) for solve in (solved, by_default))
        truth = labels[test]
        hits = [(found.argmax(axis=1) == truth).mean() for found in (ours, theirs)]
        losses = [log_loss(truth, found, labels=range(found.shape[1])) for found in (ours, theirs)]
        differences.append((hits[0] - hits[1], losses[0] - losses[1]))
    accuracy, loss = np.mean(differences, axis=0)
    return float(accuracy), float(loss)


@pytest.mark.parametrize("n", [100, 400])
def test_digits_are_read_no_worse_than_by_scikit_learn_at_its_defaults(n: int) -> None:
    accuracy, loss = compared(*load_digits(return_X_y=True), n, draws=3)
    assert accuracy > -0.005 and loss < 0.01


def test_wide_features_are_separated_no_worse_than_by_scikit_learn_at_its_defaults() -> None:
    accuracy, loss = compared(*blobs(1500, 300, 2, seed=0, noise=8.0), 120, draws=4)
    assert accuracy > -0.005 and loss < 0.01


@pytest.mark.parametrize(("examples", "width"), [(60, 200), (200, 30)])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_head_is_the_minimum_that_scikit_learn_finds_at_the_chosen_strength(
    examples: int, width: int, classes: int
) -> None:
    features, labels = blobs(examples, width, classes, seed=0, noise=6.0)
    features[:, 0] = features[:, 0] * 100 + 50
    solution = logistic.solve_logistic(features, labels, classes, weights=None, groups=None, seed=0)
    standard = StandardScaler(with_std=False).fit_transform(features.astype(np.float64))
    variance = standard.var(axis=0)
    share = examples / (examples + PRIOR) if width >= MANY else 1.0
    each = share * variance + (1 - share) * np.median(variance)
    standard /= np.sqrt(each if solution.scaled_each else variance.mean())
    model = LogisticRegression(C=solution.C, tol=1e-8, max_iter=5000).fit(standard, labels)
    logits = (features @ solution.weight.T + solution.bias) * solution.temperature
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(found - model.predict_proba(standard)).max() < 0.01


def test_ridge_equals_scikit_learn() -> None:
    features, values = load_diabetes(return_X_y=True)
    task = Regression().bind(labelled(values.tolist()), SHAPES)
    head, chosen = solve_head(task, features.astype(np.float32), {"label": values}, None, seed=0)
    standard = StandardScaler().fit_transform(features)
    expected = RidgeCV(np.logspace(-2, 6, 17)).fit(standard, (values - task.mean) / task.scale)
    assert chosen["alpha"] == pytest.approx(expected.alpha_)
    with torch.no_grad():
        found = head(torch.from_numpy(features.astype(np.float32))).squeeze(-1).numpy()
    assert np.allclose(found, expected.predict(standard), atol=1e-4)


def test_out_of_fold_probabilities_are_those_of_fits_without_the_fold() -> None:
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:300].astype(np.float32), labels[:300] % 3
    folds = [(np.flatnonzero(np.arange(300) % 5 != k), np.flatnonzero(np.arange(300) % 5 == k)) for k in range(5)]
    scalings = logistic.Scalings(features)
    whole = logistic.solve_logistic(scalings, labels, 3, weights=None, groups=None, seed=0)
    rotated = scalings.scaled(each=whole.scaled_each)[1].rotated
    found = logistic.out_of_fold(scalings, labels, 3, folds, weights=None, groups=None, seed=0)
    for rest, held in folds:
        theirs = LogisticRegression(C=whole.C, tol=1e-8, max_iter=5000).fit(rotated[rest], labels[rest])
        expected = log_softmax(theirs.decision_function(rotated[held]) / whole.temperature, axis=1)
        np.testing.assert_allclose(np.exp(found[held]), np.exp(expected), atol=0.05)  # fits end early
    solved = logistic.solved_by_fold(scalings, labels, 3, folds, groups=None, seed=0)
    for (weight, bias), (_, held) in zip(solved, folds):
        logits = features[held].astype(np.float64) @ weight.T + bias
        np.testing.assert_allclose(log_softmax(logits, axis=1), found[held], atol=1e-6)


def test_choices_on_a_sample_predict_as_well_as_those_on_all_examples() -> None:
    draws = np.random.default_rng(0)
    features = draws.normal(size=(2600, 24)).astype(np.float32)
    labels = (features @ draws.normal(size=(24, 4)) + 2 * draws.gumbel(size=(2600, 4))).argmax(axis=1)
    folds = [(np.flatnonzero(np.arange(2600) % 4 != k), np.flatnonzero(np.arange(2600) % 4 == k)) for k in range(4)]
    scalings = logistic.Scalings(features)
    found = logistic.out_of_fold(scalings, labels, 4, folds, weights=None, groups=None, seed=0)
    whole = logistic.solve_logistic(scalings, labels, 4, weights=None, groups=None, seed=0)
    rotated, expected = scalings.scaled(each=whole.scaled_each)[1].rotated, np.zeros((2600, 4))
    for rest, held in folds:
        expected[held] = LogisticRegression(C=whole.C).fit(rotated[rest], labels[rest]).predict_log_proba(rotated[held])
    rows = np.arange(2600)
    assert found[rows, labels].mean() == pytest.approx(expected[rows, labels].mean(), abs=0.01)
