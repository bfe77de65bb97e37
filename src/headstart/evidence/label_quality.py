"""Label quality: how well a label goes with the out-of-fold prediction of its example, in [0, 1]; low ones are suspect.

Northcutt et al. 2021 rank by self-confidence, the probability of the given label. Examples with several labels have the
exponential moving average of their labels' self-confidence in falling order (Thyagarajan et al. 2022, "Identifying
incorrect annotations in multi-label classification data"), pictures the softmin of that of their pixels (Lad & Mueller
2023, "Estimating label quality and errors in semantic segmentation data"). A number has exp(-|residual| / spread), the
spread being the median absolute residual as a standard deviation.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, softmax
from scipy.stats import norm

SHARPNESS = 0.8
"""Weight of the next worse label in the moving average over an example's labels."""

TEMPERATURE = 0.1
"""Of the softmin over pixels."""


def of_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return (examples,) from labels (examples,) and probabilities (examples, classes)."""
    return np.asarray(probabilities[np.arange(len(labels)), labels])


def with_neighbours(quality: np.ndarray, agreeing: np.ndarray) -> np.ndarray:
    """Return quality (examples,) with a vote: the share of an example's nearest neighbours that have its label.

    It is added to the log odds. On three other data sets than those of the benchmark a weight of 1 ranked flipped
    labels better than none, or as well; it is not in the papers.
    """
    return np.asarray(expit(logit(np.clip(quality, 1e-12, 1 - 1e-12)) + agreeing - 0.5))


def of_label_sets(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return (examples,) from truth (examples, labels) of 0 and 1 and the labels' probabilities."""
    ordered = np.sort(np.where(truth > 0, probabilities, 1 - probabilities), axis=1)[:, ::-1]
    found = ordered[:, 0]
    for column in ordered.T[1:]:
        found = SHARPNESS * column + (1 - SHARPNESS) * found
    return np.asarray(found)


def of_picture(right: np.ndarray) -> float:
    """Return the softmin of the self-confidence (pixels,) of a picture; 1 without pixels."""
    return float(right @ softmax((1 - right) / TEMPERATURE)) if len(right) else 1.0


def of_numbers(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return (examples,) from numbers (examples,) and predictions."""
    return np.asarray(np.exp(-np.abs(in_spreads(values, predicted))))


def in_spreads(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return residuals (examples,) in units of their robust spread; zeros where most predictions are exact."""
    residuals = values - predicted
    spread = np.median(np.abs(residuals)) / norm.ppf(0.75)
    return np.asarray(residuals / spread) if spread > 0 else np.zeros(len(residuals))


def wrong_numbers(values: np.ndarray, predicted: np.ndarray, rate: float) -> np.ndarray:
    """Return the rows of numbers (examples,) with a residual that one of all normal ones has with the chance `rate`."""
    limit = norm.isf(rate / max(len(values), 1) / 2)
    return np.flatnonzero(np.abs(in_spreads(values, predicted)) > limit)
