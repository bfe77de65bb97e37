"""Figures of many reweightings of the examples at once, as the bootstrap draws them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

UNSTEADY = 30.0
"""Examples for which independent trials count where a figure of ranks has a bootstrap variance of few examples."""


def members(codes: np.ndarray, classes: int) -> csr_array:
    """(examples, classes): 1 where the example is of the class."""
    rows = np.arange(len(codes))
    return csr_array((np.ones(len(codes)), (rows, codes)), shape=(len(codes), classes))


def f1_trials(events: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Trials of the same uncertainty as F1 `values` of so many events: true, predicted or both.

    Of the events a share J = F1 / (2 - F1) is right, which is binomial; F1 = 2 J / (1 + J) has the variance
    F1 (1 - F1) / n with n = 2 events / (2 - F1)^2.
    """
    return 2 * np.maximum(events, 1.0) / (2 - values) ** 2


def f1_steps(either: np.ndarray) -> np.ndarray:
    """Change of F1 by one example more, of so many that are true or predicted, counted twice where they are both.

    A hit in place of a miss changes it by (2 - F1) / either, a false alarm by F1 / either: in mean 1 / either.
    """
    return 1 / np.maximum(either, 1.0)


def mean_of_present(values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean over the classes of (resamples, classes) that are defined; NaN where none is."""
    defined = ~np.isnan(values)
    return np.where(defined, values, 0.0).sum(axis=1) / defined.sum(axis=1)


def weighted_means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean of values (n,) under each row of weights (resamples, n); NaN where no weight is left."""
    return weights @ values / weights.sum(axis=1)
