"""Every metric against scikit-learn: point values, sample weights, and rows repeated as often as the weights say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as reference

from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.tasks.classification.metrics import classification_metrics
from headstart.tasks.regression.metrics import regression_metrics

CLASSIFICATION = {metric.name: metric for metric in classification_metrics()}
REGRESSION = {metric.name: metric for metric in regression_metrics()}


def problem(classes: int, n: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities with ties."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(n) % classes)
    logits = generator.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, softmax(np.round(2 * logits) / 2, axis=1)


def by_sklearn(name: str, labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None) -> float:
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    if name == "accuracy":
        return reference.accuracy_score(labels, predicted, sample_weight=weights)
    if name == "balanced_accuracy":
        return reference.balanced_accuracy_score(labels, predicted, sample_weight=weights)
    if name == "macro_f1":
        return reference.f1_score(labels, predicted, average="macro", sample_weight=weights)
    if name == "log_loss":
        return reference.log_loss(labels, probabilities, labels=range(classes), sample_weight=weights)
    scores = probabilities[:, 1] if classes == 2 else probabilities
    return reference.roc_auc_score(labels, scores, multi_class="ovr", average="macro", sample_weight=weights)


def replicated(metric: Metric, labels: np.ndarray, columns: dict[str, np.ndarray], weights: np.ndarray) -> np.ndarray:
    return metric.replicates({"label": labels}, Prediction(columns))(weights)


@pytest.mark.parametrize("classes", [2, 3, 7, 60])
@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss"])
def test_classification_metrics_equal_scikit_learn_plain_and_weighted(name: str, classes: int) -> None:
    labels, probabilities = problem(classes)
    metric, columns = CLASSIFICATION[name], {"probabilities": probabilities}
    value = metric.score({"label": labels}, Prediction(columns))
    assert value == pytest.approx(by_sklearn(name, labels, probabilities, None), abs=1e-12)
    weights = np.random.default_rng(1).uniform(0.1, 3, size=(20, len(labels)))
    expected = [by_sklearn(name, labels, probabilities, row) for row in weights]
    assert replicated(metric, labels, columns, weights) == pytest.approx(np.array(expected), abs=1e-9)
    assert replicated(metric, labels, columns, np.ones((1, len(labels))))[0] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("metric", CLASSIFICATION.values(), ids=CLASSIFICATION)
def test_a_replicate_is_the_value_of_the_repeated_rows_even_when_classes_drop_out(metric: Metric, classes: int) -> None:
    labels, probabilities = problem(classes, n=14, seed=3)
    weights = np.random.default_rng(2).poisson(0.5, size=(60, 14)).astype(float)
    weights[0], weights[1] = 0, labels == 0
    found = replicated(metric, labels, {"probabilities": probabilities}, weights)
    for row, value in zip(weights[1:].astype(int), found[1:]):
        again = np.repeat(np.arange(14), row)
        if len(again):
            whole = Prediction({"probabilities": probabilities[again]})
            assert value == pytest.approx(metric.score({"label": labels[again]}, whole), abs=1e-9, nan_ok=True)
    assert np.isnan(found[0])
    if metric.name == "roc_auc":
        assert np.isnan(found[1])


def test_an_area_with_one_class_present_is_undefined() -> None:
    prediction = Prediction({"probabilities": np.array([[0.3, 0.7], [0.6, 0.4]])})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(CLASSIFICATION["roc_auc"].score({"label": np.array([1, 1])}, prediction))


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    labels, columns = np.array([0, 1]), {"probabilities": np.array([[0.0, 1.0], [0.5, 0.5]])}
    value = CLASSIFICATION["log_loss"].score({"label": labels}, Prediction(columns))
    assert np.isfinite(value)
    assert replicated(CLASSIFICATION["log_loss"], labels, columns, np.ones((1, 2)))[0] == pytest.approx(
        value, rel=1e-12
    )


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("r2", reference.r2_score),
        ("mae", reference.mean_absolute_error),
        (
            "rmse",
            lambda *given, sample_weight: reference.mean_squared_error(*given, sample_weight=sample_weight) ** 0.5,
        ),
    ],
)
def test_regression_metrics_equal_scikit_learn_plain_and_weighted(name: str, expected, offset: float) -> None:
    generator = np.random.default_rng(0)
    truth = offset + generator.normal(size=60)
    predicted = truth + 0.5 * generator.normal(size=60)
    value = REGRESSION[name].score({"label": truth}, Prediction({"value": predicted}))
    assert value == pytest.approx(expected(truth, predicted, sample_weight=None), abs=1e-12)
    weights = generator.poisson(1, size=(30, 60)).astype(float)
    rows = [expected(truth, predicted, sample_weight=row) for row in weights]
    assert replicated(REGRESSION[name], truth, {"value": predicted}, weights) == pytest.approx(np.array(rows), abs=1e-8)


def test_the_explained_variance_of_a_constant_is_undefined() -> None:
    truth, columns = np.array([2.0, 2.0, 3.0]), {"value": np.array([2.0, 2.5, 3.0])}
    found = replicated(REGRESSION["r2"], truth, columns, np.array([[1.0, 2, 0], [1, 1, 1], [0, 0, 0]]))
    assert np.isnan(found[[0, 2]]).all() and np.isfinite(found[1])
    assert np.isnan(REGRESSION["r2"].score({"label": np.ones(3)}, Prediction(columns)))


@pytest.mark.parametrize("metric", [*CLASSIFICATION.values(), *REGRESSION.values()], ids=lambda metric: metric.name)
def test_no_value_lies_outside_its_bounds(metric: Metric) -> None:
    labels, probabilities = problem(3)
    columns = {"probabilities": probabilities, "value": probabilities[:, 0]}
    weights = np.random.default_rng(0).poisson(1, size=(100, 80)).astype(float)
    found = replicated(metric, labels, columns, weights)
    assert (found >= metric.bounds[0]).all() and (found <= metric.bounds[1]).all()
