"""Features with mean 0 and variance 1 for fitting, and a linear map on them turned back into one on raw features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NOISE = 1e-6
"""A deviation below this share of the mean's size is rounding; such a feature is constant and gets weight 0."""

MANY = 64
"""Features from which on they are a network's and have one unit. One that moves less than `NOISE` of what is usual
among them is then dead: a weight of 1e8 on it would be thrown far off by the first step of fine-tuning. The columns of
a table are fewer, and each has a unit of its own."""


PRIOR = 100
"""Examples that the median variance counts for in that of each of a network's features (shrunken as in Opgen-Rhein &
Strimmer 2007, "Accurate ranking of differentially expressed genes by a distribution-free shrinkage approach"). Of 20
examples a variance is noise, and dividing by it spoils features that were good as they came."""


class Standardisation(NamedTuple):
    """(features - mean) / scale"""

    mean: np.ndarray
    """(width,)"""
    scale: np.ndarray
    """(width,); infinite for a constant feature."""

    def fold(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(outputs, width) and (outputs,) of a map on standardised features as one on raw features, float64."""
        raw = np.asarray(weight, dtype=np.float64) / self.scale
        return raw, bias - raw @ self.mean


def of_unit_length(features: np.ndarray) -> np.ndarray:
    """Return features (examples, width) divided by their lengths; zeros stay zeros."""
    lengths: np.ndarray = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def standardise(
    features: np.ndarray, weights: np.ndarray | None = None, *, each: bool = True
) -> tuple[np.ndarray, Standardisation]:
    """Centre and scale (examples, width) floats; the result is at least float32.

    Args:
        features: finite floats.
        weights: (examples,) of mean and variance; None for 1 each.
        each: True gives every feature variance 1, or, where it is a network's and examples are few, comes closer to
            it; False divides all by one number, so that the mean variance is 1 and features keep their proportions.
    """
    kind = np.result_type(features.dtype, np.float32)
    mean = _mean(features, weights)
    centred = np.subtract(features, mean.astype(kind), dtype=kind)
    deviation = np.sqrt(_mean(np.square(centred), weights))
    of_network = len(deviation) >= MANY
    usual = float(np.median(deviation)) if of_network else 0.0
    real = deviation > NOISE * np.maximum(np.abs(mean), usual)
    if real.any() and (of_network or not each):
        variance = np.square(deviation)
        count = len(features) if weights is None else float(weights.sum())
        share, rest = (count / (count + PRIOR), np.median(variance)) if each else (0.0, variance.mean())
        deviation = np.sqrt(share * variance + (1 - share) * rest)
    scale = np.where(real, deviation, np.inf)
    centred /= scale.astype(kind)
    return centred, Standardisation(mean, scale)


def _mean(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    if weights is None:
        return np.asarray(values.mean(axis=0, dtype=np.float64))
    return np.asarray(weights @ values / weights.sum())
