"""Calibration, so that a confidence of 0.8 is right in 8 of 10 cases: temperature scaling, expected calibration error.

Temperature scaling (Guo et al. 2017) divides all logits by one T > 0 that minimises the negative log-likelihood on
validation data; no prediction changes. Here log T has a standard normal prior, worth about one example, so that a
small validation part that happens to be separable does not send T to 0, where one later mistake would cost everything.

Expected calibration error (Naeini et al. 2015; the top-label form of Guo et al. 2017): over 15 equal bins of
confidence, sum_b n_b / n * |accuracy_b - confidence_b|.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

COOLEST, HOTTEST = 0.05, 20.0
"""Bounds of the temperature."""

FEWEST = 10
"""Examples below which the temperature stays 1."""

BINS = 15
"""Of confidence; bin b holds (b / 15, (b + 1) / 15]."""


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature for logits (examples, classes) of examples with known labels (examples,), in [0.05, 20].

    `weights` (examples,) are those of the likelihood; None for 1 each.
    """
    if len(labels) < FEWEST:
        return 1.0
    logits = np.asarray(logits, dtype=np.float64)
    weights = np.ones(len(labels)) if weights is None else weights

    def loss(log_temperature: float) -> float:
        likelihoods = log_likelihoods(logits, labels, math.exp(log_temperature))
        return -log_prior(math.exp(log_temperature)) - float(weights @ likelihoods)

    found = minimize_scalar(loss, bounds=(math.log(COOLEST), math.log(HOTTEST)), method="bounded")
    return float(np.clip(math.exp(found.x), COOLEST, HOTTEST))


def log_prior(temperature: float) -> float:
    """Of the temperature, but for a constant: log T is normal."""
    return -(math.log(temperature) ** 2) / 2


def log_likelihoods(logits: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """(examples,) log probability of each true label, the logits divided by the temperature."""
    scaled = (logits - logits.max(axis=1, keepdims=True)) / temperature
    return np.asarray(scaled[np.arange(len(labels)), labels] - np.log(np.exp(scaled).sum(axis=1)))


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """(examples,) int: the bin of each confidence in [0, 1]."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The error under each weighting of the examples, in [0, 1]; NaN where no example has weight.

    Args:
        confidence: (examples,) probability given to the predicted class.
        correct: (examples,) bool or 0/1.
        weights: (weightings, examples), zero or more each.

    Returns:
        (weightings,)
    """
    gap = np.zeros((len(confidence), BINS))
    gap[np.arange(len(confidence)), confidence_bins(confidence)] = correct - confidence
    return np.asarray(np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1))
