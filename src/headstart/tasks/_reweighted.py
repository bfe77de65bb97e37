"""Figures of many reweightings of the examples at once, as the bootstrap draws them."""

from __future__ import annotations

import numpy as np


def mean_of_present(values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean over the classes of (resamples, classes) that are defined; NaN where none is."""
    defined = ~np.isnan(values)
    return np.where(defined, values, 0.0).sum(axis=1) / defined.sum(axis=1)


def weighted_means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean of values (n,) under each row of weights (resamples, n); NaN where no weight is left."""
    return weights @ values / weights.sum(axis=1)
