"""The metrics of regression: each by scikit-learn for one set of predictions, and for many reweightings at once."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from headstart.contracts.metric import Metric, Replicates
from headstart.tasks._label_kinds import TARGET
from headstart.tasks._reweighted import given, weighted_means


def regression_metrics() -> tuple[Metric, ...]:
    """R2 first, then the errors in the unit of the target."""
    of, error = partial(given, TARGET, "value"), (0.0, np.inf)
    return (
        Metric("r2", "R²", True, of(_r2), of(_r2s), bounds=(-np.inf, 1.0)),
        Metric("mae", "Mean absolute error", False, of(_mae), of(_maes), bounds=error),
        Metric("rmse", "Root mean squared error", False, of(_rmse), of(_rmses), bounds=error),
    )


def _r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    """NaN where all true values are equal: there is no variance to explain."""
    return float(r2_score(truth, predicted)) if np.ptp(truth) > 0 else np.nan


def _r2s(truth: np.ndarray, predicted: np.ndarray) -> Replicates:
    centred = truth - truth.mean()  # keeps the difference of squares below exact for values far from zero
    errors = np.square(truth - predicted)

    def replicates(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        variance = weights @ np.square(centred) - np.square(weights @ centred) / total
        variance[variance <= 1e-12 * total * np.square(centred).mean()] = np.nan
        return 1 - weights @ errors / variance

    return replicates


def _mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(mean_absolute_error(truth, predicted))


def _maes(truth: np.ndarray, predicted: np.ndarray) -> Replicates:
    errors = np.abs(truth - predicted)
    return lambda weights: weighted_means(weights, errors)


def _rmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.sqrt(mean_squared_error(truth, predicted)))


def _rmses(truth: np.ndarray, predicted: np.ndarray) -> Replicates:
    squares = np.square(truth - predicted)
    return lambda weights: np.sqrt(weighted_means(weights, squares))
