"""Scores by kind of target are scikit-learn's own: log probabilities, log odds of each label, values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression, Ridge

from headstart.baselines._linear import SOLVER, fit_linear
from headstart.baselines._scores import LEAST
from headstart.baselines.boosting import Boosting
from headstart.baselines.histograms import oriented_gradients
from headstart.contracts.baseline import Labelled
from headstart.contracts.examples import Examples, Schema

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(40, 3))
NONE = Examples(pa.table({"x": [], "origin": []}), Schema(modality="text", inputs=("x",), origin="origin"))


def sklearn_model() -> LogisticRegression:
    return LogisticRegression(C=2.0, max_iter=200, solver=SOLVER)


def scores(truth: np.ndarray, outputs: int, weights: np.ndarray | None = None) -> np.ndarray:
    return fit_linear(X, Labelled(NONE, {"label": truth}, {}, outputs, weights), 2.0, 0)(X)


def test_classes_have_log_probabilities_and_those_never_seen_the_least() -> None:
    truth = np.arange(40) % 2 * 2  # of four classes, 0 and 2 occur
    expected = sklearn_model().fit(X, truth).predict_log_proba(X)
    found = scores(truth, 4)
    np.testing.assert_allclose(found[:, [0, 2]], expected, rtol=1e-9)
    assert (found[:, [1, 3]] == LEAST).all()
    assert (scores(np.full(40, 1), 3).argmax(axis=1) == 1).all(), "data of one class are predicted as that class"


def test_weights_of_examples_count() -> None:
    truth, weights = np.arange(40) % 2, DRAWS.uniform(0.1, 3, 40)
    expected = sklearn_model().fit(X, truth, weights).predict_log_proba(X)
    np.testing.assert_allclose(scores(truth, 2, weights), expected, rtol=1e-9)


def test_each_label_of_a_set_has_its_log_odds() -> None:
    truth = np.stack([X[:, 0] > 0, X[:, 1] > 0.5], axis=1).astype(np.float32)
    each = [sklearn_model().fit(X, label).predict_proba(X)[:, 1] for label in truth.T]
    np.testing.assert_allclose(scores(truth, 2), logit(np.stack(each, axis=1)), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_what_scikit_learn_and_scipy_warn_of_is_kept_from_users() -> None:
    many, rows = np.arange(40) % 25, pa.table({"x": X[:, 0], "origin": ["here"] * 40})
    schema = Schema(modality="table", inputs=("x",), origin="origin")
    Boosting().fit(Labelled(Examples(rows, schema), {"label": many}, {}, 25, None), [0.1], 0)
    features = np.exp(np.random.default_rng(0).normal(size=(40, 60)) * 8)
    fit_linear(features, Labelled(NONE, {"label": np.arange(40) % 3}, {}, 3, None), 1e9, 0)


def test_values_are_those_of_ridge_regression() -> None:
    values = X @ [1.0, -2.0, 0.5] + 3
    expected = Ridge(alpha=0.5).fit(X, values).predict(X)
    np.testing.assert_allclose(scores(values, 1)[:, 0], expected, rtol=1e-9)


def test_gradients_are_counted_by_direction_in_cells() -> None:
    ramp = np.tile(np.arange(16.0), (16, 1))  # grows to the right: direction 0 everywhere
    blocks = oriented_gradients(ramp).reshape(4, 9)
    assert blocks[:, 0] == pytest.approx(0.5, abs=1e-3), "four equal cells of a block, scaled to unit length"
    assert not blocks[:, 1:].any()
    down = oriented_gradients(ramp.T).reshape(4, 9)
    np.testing.assert_allclose(down[:, 4], down[:, 5], rtol=1e-6)
    assert down[:, 4].all(), "a right angle lies between the fifth and the sixth of nine directions"
    assert not oriented_gradients(np.full((16, 16), 0.7)).any()
