"""The metrics of multi-label classification: each by scikit-learn, and for many reweightings of the examples at once.

Mean average precision is the mean over labels of sum_k (R_k - R_{k-1}) P_k, the precision P_k at each threshold
weighted by the recall that it adds. A label without a positive example has no average precision and leaves the mean,
in a resample as in the point value; F1 is undefined for a label that is neither true nor predicted anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, f1_score

from headstart.contracts.metric import SHARE, Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.tasks._label_kinds import TARGET
from headstart.tasks._reweighted import UNSTEADY, f1_shares, given, mean_over_classes

T = TypeVar("T")

FEWEST = 15
"""Positives below which an average precision has no interval: its bias is then as large as its error."""

PROBABILITIES, CHOSEN = "probabilities", "chosen"
"""Columns of a finished prediction: (examples, labels) in [0, 1], and whether each is above its threshold."""


def multilabel_metrics(classes: Sequence[str]) -> tuple[Metric, ...]:
    """Mean average precision first, F1 over all decisions and over labels, then the average precision of each label."""
    chosen, share = partial(given, TARGET, CHOSEN), (0.0, 1.0)
    micro, pooled = chosen(_micro_f1s), chosen(_pooled_support)
    macro, of_labels = chosen(mean_over_classes(_f1s)), chosen(partial(_f1_support, classes))
    return (
        _precise("mean_average_precision", "Mean average precision", classes, slice(None)),
        Metric("micro_f1", "Micro F1", True, chosen(_micro_f1), micro, SHARE, share, support=pooled),
        Metric("macro_f1", "Macro F1", True, chosen(_macro_f1), macro, SHARE, share, support=of_labels),
        *(
            _precise(f"average_precision_{name}", f"Average precision ({name})", [name], slice(k, k + 1))
            for k, name in enumerate(classes)
        ),
    )


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Of one label, from truth and scores (examples,); NaN without a positive example."""
    return float(average_precision_score(truth, scores)) if truth.any() else np.nan


def _precise(name: str, title: str, names: Sequence[str], columns: slice) -> Metric:
    """The mean of the average precisions of the labels in some columns."""

    def of(function: Callable[[np.ndarray, np.ndarray], T]) -> Callable[[Targets, Prediction], T]:
        return given(TARGET, PROBABILITIES, lambda truth, scores: function(truth[:, columns], scores[:, columns]))

    means, support = mean_over_classes(_precisions), partial(_precision_support, names)
    return Metric(name, title, True, of(_mean_precision), of(means), "", (0.0, 1.0), support=of(support))


def _precision_support(names: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> Support:
    """Trials of an average precision: its positives, as in Boyd, Eng & Page (2013)."""
    values = np.array([average_precision(*columns) for columns in zip(truth.T, scores.T)])
    trials = np.maximum(truth.sum(axis=0), 1).astype(np.float64)
    return Support("examples of", _quoted(names), csr_array(truth), values, trials, UNSTEADY, FEWEST)


def _f1_support(names: Sequence[str], truth: np.ndarray, chosen: np.ndarray) -> Support:
    return Support("examples of", _quoted(names), csr_array(truth), **f1_shares(*_decided(truth, chosen).sum(axis=1)))


def _pooled_support(truth: np.ndarray, chosen: np.ndarray) -> Support:
    shares = f1_shares(*_decided(truth, chosen).sum(axis=(1, 2))[:, None])
    return Support("examples with", ["a label"], csr_array(truth.any(axis=1, keepdims=True)), **shares)


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def _decided(truth: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(3, examples, labels) float64: 1 where a label is right, true and chosen."""
    return np.stack([truth.astype(bool) & chosen, truth, chosen]).astype(np.float64)


def _mean_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.nanmean([average_precision(truth[:, k], scores[:, k]) for k in range(truth.shape[1])]))


def _precisions(truth: np.ndarray, scores: np.ndarray) -> Replicates:
    rankings = [_ranking(*columns) for columns in zip(truth.T, scores.T)]
    return lambda weights: np.stack([ranking(weights) for ranking in rankings], axis=1)


def _ranking(truth: np.ndarray, scores: np.ndarray) -> Replicates:
    """Average precision as the mean over positives of the precision among all that score at least as high."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], truth[order].astype(bool)
    last = np.searchsorted(-ranked, -ranked[positive], side="right") - 1  # of those that score the same

    def area(weights: np.ndarray) -> np.ndarray:
        ranked_weights = weights[:, order]
        above = np.cumsum(ranked_weights, axis=1)[:, last]
        hits = np.cumsum(np.where(positive, ranked_weights, 0.0), axis=1)[:, last]
        own = ranked_weights[:, positive]
        precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
        return (own * precision).sum(axis=1) / own.sum(axis=1)

    return area


def _micro_f1(truth: np.ndarray, chosen: np.ndarray) -> float:
    return float(f1_score(truth.ravel(), chosen.ravel().astype(int), zero_division=np.nan))


def _micro_f1s(truth: np.ndarray, chosen: np.ndarray) -> Replicates:
    hits, true, predicted = _decided(truth, chosen).sum(axis=2)
    return lambda weights: 2 * (weights @ hits) / (weights @ (true + predicted))


def _macro_f1(truth: np.ndarray, chosen: np.ndarray) -> float:
    columns = zip(truth.T, chosen.T.astype(int))
    return float(np.nanmean([f1_score(true, predicted, zero_division=np.nan) for true, predicted in columns]))


def _f1s(truth: np.ndarray, chosen: np.ndarray) -> Replicates:
    hits, true, predicted = _decided(truth, chosen)
    return lambda weights: 2 * (weights @ hits) / (weights @ (true + predicted))
