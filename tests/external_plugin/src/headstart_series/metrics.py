"""Harrell's concordance (Harrell et al. 1982), and the error of those lifetimes whose end was seen.

    C = share of pairs (i, j), i having ended before the time of j, of which i was predicted to end first

A pair of equal predictions counts half.
"""

from __future__ import annotations

import math

import numpy as np

from headstart.contracts.metric import SHARE, Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets


def lifetime_metrics(unit: str) -> tuple[Metric, ...]:
    """Return concordance first, then the error in the unit of time."""
    error = "Mean absolute error of ended lifetimes"
    return (
        Metric("concordance", "Concordance", True, _concordance, _pairs_replicated, unit=SHARE, bounds=(0.0, 1.0)),
        Metric("mae_ended", error, False, _error, _errors_replicated, unit=unit, bounds=(0.0, math.inf)),
    )


def _concordance(targets: Targets, prediction: Prediction) -> float:
    """NaN where no pair can be compared."""
    return float(_pairs_replicated(targets, prediction)(np.ones((1, len(prediction))))[0])


def _pairs_replicated(targets: Targets, prediction: Prediction) -> Replicates:
    (time, ended), predicted = targets["lifetime"].T, prediction.columns["time"]
    comparable = ((time[:, None] < time) & (ended[:, None] > 0)).astype(np.float64)
    right = comparable * ((predicted[:, None] < predicted) + 0.5 * (predicted[:, None] == predicted))

    def replicates(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            found: np.ndarray = ((weights @ right) * weights).sum(1) / ((weights @ comparable) * weights).sum(1)
        return found

    return replicates


def _error(targets: Targets, prediction: Prediction) -> float:
    """NaN where none has ended."""
    return float(_errors_replicated(targets, prediction)(np.ones((1, len(prediction))))[0])


def _errors_replicated(targets: Targets, prediction: Prediction) -> Replicates:
    (time, ended), predicted = targets["lifetime"].T, prediction.columns["time"]
    errors = ended * np.abs(predicted - time)

    def replicates(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            found: np.ndarray = weights @ errors / (weights @ ended)
        return found

    return replicates
