"""The metrics of regression: each by scikit-learn for one set of predictions, and for many reweightings at once."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from headstart.contracts.metric import Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.tasks._label_kinds import TARGET
from headstart.tasks._reweighted import weighted_means


def regression_metrics() -> tuple[Metric, ...]:
    """R2 first, then the errors in the unit of the target."""
    return (
        Metric("r2", "R²", True, _r2, _r2_replicates, bounds=(-np.inf, 1.0)),
        Metric("mae", "Mean absolute error", False, _mae, _mae_replicates, bounds=(0.0, np.inf)),
        Metric("rmse", "Root mean squared error", False, _rmse, _rmse_replicates, bounds=(0.0, np.inf)),
    )


def _pair(targets: Targets, prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
    return targets[TARGET], prediction.columns["value"]


def _r2(targets: Targets, prediction: Prediction) -> float:
    """NaN where all true values are equal: there is no variance to explain."""
    truth, predicted = _pair(targets, prediction)
    return float(r2_score(truth, predicted)) if np.ptp(truth) > 0 else np.nan


def _r2_replicates(targets: Targets, prediction: Prediction) -> Replicates:
    truth, predicted = _pair(targets, prediction)
    centred = truth - truth.mean()  # keeps the difference of squares below exact for values far from zero
    errors = np.square(truth - predicted)

    def replicates(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        variance = weights @ np.square(centred) - np.square(weights @ centred) / total
        variance[variance <= 1e-12 * total * np.square(centred).mean()] = np.nan
        return 1 - weights @ errors / variance

    return replicates


def _mae(targets: Targets, prediction: Prediction) -> float:
    return float(mean_absolute_error(*_pair(targets, prediction)))


def _mae_replicates(targets: Targets, prediction: Prediction) -> Replicates:
    truth, predicted = _pair(targets, prediction)
    errors = np.abs(truth - predicted)
    return lambda weights: weighted_means(weights, errors)


def _rmse(targets: Targets, prediction: Prediction) -> float:
    return float(np.sqrt(mean_squared_error(*_pair(targets, prediction))))


def _rmse_replicates(targets: Targets, prediction: Prediction) -> Replicates:
    truth, predicted = _pair(targets, prediction)
    squares = np.square(truth - predicted)
    return lambda weights: np.sqrt(weighted_means(weights, squares))
