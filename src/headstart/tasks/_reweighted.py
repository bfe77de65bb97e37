"""Parts of metrics: figures of many reweightings of the examples at once, as the bootstrap draws them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.metric import Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets

T = TypeVar("T")

Reweighted = Callable[[np.ndarray, np.ndarray], Replicates]
"""(true labels, predictions), each (examples, ...) -> the metric as a function of the weights of examples."""

UNSTEADY = 30.0
"""Examples for which independent trials count where a figure of ranks has a bootstrap variance of few examples."""


def given(
    target: str, column: str, function: Callable[[np.ndarray, np.ndarray], T]
) -> Callable[[Targets, Prediction], T]:
    """Turn a function of the values of a target and of a column of predictions into one of targets and prediction."""

    def of_both(targets: Targets, prediction: Prediction) -> T:
        with warnings.catch_warnings():  # of classes without an example; they are left out on purpose
            warnings.simplefilter("ignore")
            return function(targets[target], prediction.columns[column])

    return of_both


def point_value(reweighted: Reweighted) -> Callable[[np.ndarray, np.ndarray], float]:
    """The metric of examples that count 1 each."""
    return lambda truth, predicted: float(reweighted(truth, predicted)(np.ones((1, len(truth))))[0])


def members(codes: np.ndarray, classes: int, counted: np.ndarray | None = None) -> csr_array:
    """(examples, classes): 1 where the example is of the class and, if given, is one of the `counted` (examples,)."""
    ones = np.ones(len(codes)) if counted is None else counted.astype(np.float64)
    return csr_array((ones, (np.arange(len(codes)), codes)), shape=(len(codes), classes))


def f1_trials(events: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Trials of the same uncertainty as F1 `values` of so many events: true, predicted or both.

    Of the events a share J = F1 / (2 - F1) is right, which is binomial; F1 = 2 J / (1 + J) has the variance
    F1 (1 - F1) / n with n = 2 events / (2 - F1)^2.
    """
    return 2 * np.maximum(events, 1.0) / (2 - values) ** 2


def f1_shares(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Values, trials and steps of a `Support`, from the examples of each class that are right, true and predicted.

    A hit in place of a miss changes F1 by (2 - F1) / (true + predicted), a false alarm by F1 / (true + predicted): in
    mean by 1 / (true + predicted).
    """
    values = 2 * hits / (true + predicted)
    trials = f1_trials(true + predicted - hits, values)
    return {"values": values, "trials": trials, "steps": 1 / np.maximum(true + predicted, 1.0)}


def mean_over_classes(of_classes: Reweighted) -> Reweighted:
    """The mean over the classes that are defined, of figures (resamples, classes)."""

    def reweighted(truth: np.ndarray, predicted: np.ndarray) -> Replicates:
        each = of_classes(truth, predicted)
        return lambda weights: mean_of_present(each(weights))

    return reweighted


def mean_of_present(values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean over the classes of (resamples, classes) that are defined; NaN where none is."""
    defined = ~np.isnan(values)
    return np.where(defined, values, 0.0).sum(axis=1) / defined.sum(axis=1)


def weighted_means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(resamples,): the mean of values (n,) under each row of weights (resamples, n); NaN where no weight is left."""
    return weights @ values / weights.sum(axis=1)


def areas_above(positive: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """ROC AUC under weights (examples, resamples): the share of (positive, negative) pairs in order, a tie one half."""
    positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[positives], side="left")
    not_above = np.searchsorted(scores[negatives], scores[positives], side="right")

    def area(by_example: np.ndarray) -> np.ndarray:
        first = np.zeros((len(negatives) + 1, by_example.shape[1]))  # row k: the weight of the k lowest negatives
        np.cumsum(by_example[negatives], axis=0, out=first[1:])
        weights = by_example[positives]
        pairs = np.einsum("pr,pr->r", weights, first[below] + first[not_above]) / 2
        return pairs / (weights.sum(axis=0) * first[-1])

    return area
