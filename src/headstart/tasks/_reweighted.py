"""Figures of many reweightings of the examples at once, as the bootstrap draws them."""

from __future__ import annotations

import numpy as np

from headstart.contracts.metric import Replicates


def quiet(replicates: Replicates) -> Replicates:
    """The same of weights (resamples, examples) of any type, without numpy's warnings of 0 / 0."""

    def run(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return replicates(np.asarray(weights, dtype=np.float64))

    return run


def mean_of_present(values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean over the classes of (resamples, classes) that are defined; NaN where none is."""
    defined = ~np.isnan(values)
    return np.where(defined, values, 0.0).sum(axis=1) / defined.sum(axis=1)


def weighted_means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean of values (n,) under each row of weights (resamples, n); NaN where no weight is left."""
    with np.errstate(invalid="ignore"):
        return weights @ values / weights.sum(axis=1)
