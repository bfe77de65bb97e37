"""The metrics of classification: by scikit-learn for one set of predictions, and for many reweightings at once.

A replicate equals the point value of the rows repeated as often as their weights say: classes that a resample leaves
without a row leave the averages over classes too, as they leave the point value. Undefined is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from headstart.contracts.metric import SHARE, Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.numerics.calibration import expected_calibration_error
from headstart.tasks._label_kinds import TARGET
from headstart.tasks._reweighted import (
    UNSTEADY,
    areas_above,
    f1_shares,
    given,
    mean_over_classes,
    members,
    point_value,
    weighted_means,
)

MANY = 50
"""Classes from which on scikit-learn, which takes each by itself, is not asked."""

PASS = 20
"""Examples that a product of matrices adds up in the time of one step of a cumulative sum."""

BLOCK = 1 << 22
"""Pairs of examples that are compared at once: 32 MB."""

Shares = Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]
"""(labels (examples,), probabilities (examples, classes)) -> fields of a `Support`: the shares of the classes."""


def classification_metrics(classes: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Accuracy first; the rest in the order in which a report shows them. `classes` are named where they are rare."""
    of, rests_on = partial(given, TARGET, "probabilities"), partial(_rests_on, classes)
    accuracy, balanced = of(_of_choices(accuracy_score)), of(_of_choices(balanced_accuracy_score))
    macro_f1 = of(_of_choices(partial(f1_score, average="macro", zero_division=0)))
    recalls, f1s, areas = (of(mean_over_classes(each)) for each in (_recalls, _f1s, _areas))
    by_recall, by_f1, by_area = map(rests_on, (_recall_shares, _f1_shares, _area_shares))
    ece, flaw = of(point_value(_calibration_errors)), "no interval: chance adds to it"
    share, loss = (0.0, 1.0), (0.0, np.inf)
    return (
        Metric("accuracy", "Accuracy", True, accuracy, of(_accuracies), SHARE, share),
        Metric("balanced_accuracy", "Balanced accuracy", True, balanced, recalls, SHARE, share, support=by_recall),
        Metric("macro_f1", "Macro F1", True, macro_f1, f1s, SHARE, share, support=by_f1),
        Metric("roc_auc", "ROC AUC", True, of(_roc_auc), areas, "", share, support=by_area),
        Metric("log_loss", "Log loss", False, of(_log_loss), of(_log_losses), "", loss, True, rests_on()),
        Metric("ece", "Calibration error (ECE)", False, ece, of(_calibration_errors), "", share, flaw=flaw),
    )


def _rests_on(names: Sequence[str], shares: Shares = lambda *_: {}) -> Callable[[Targets, Prediction], Support]:
    def support(labels: np.ndarray, probabilities: np.ndarray) -> Support:
        count = probabilities.shape[1]
        quoted = [f"'{name}'" for name in names or range(count)]
        return Support("examples of", quoted, members(labels, count), **shares(labels, probabilities))

    return given(TARGET, "probabilities", support)


def _recall_shares(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    hits, true, _ = (kind.sum(axis=0) for kind in _members(labels, probabilities))
    return {"values": hits / true, "trials": true}


def _f1_shares(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Half of the trials, as each error is one of two classes."""
    shares = f1_shares(*(kind.sum(axis=0) for kind in _members(labels, probabilities)))
    return {**shares, "trials": shares["trials"] / 2}


def _area_shares(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Trials by the variance of Newcombe (2006), method 5, after Hanley & McNeil (1982): of m and q examples

    A (1 - A) (1 + N (1 - A) / (2 - A) + N A / (1 + A)) / (m q),   N = (m + q) / 2 - 1.
    """
    total, count = len(labels), probabilities.shape[1]
    m = np.bincount(labels, minlength=count)[count == 2 :].astype(np.float64)
    values = np.full(len(m), np.nan)
    values[slice(None) if count == 2 else m > 0] = _areas(labels, probabilities)(np.ones((1, total)))[0]
    more = (total / 2 - 1) * ((1 - values) / (2 - values) + values / (1 + values))
    return {"values": values, "trials": m * (total - m) / (1 + more), "prior": UNSTEADY}


def _members(labels: np.ndarray, probabilities: np.ndarray) -> tuple[csr_array, csr_array, csr_array]:
    """The right, the true and the predicted examples of each class, each (examples, classes)."""
    predicted, count = probabilities.argmax(axis=1), probabilities.shape[1]
    return members(labels, count, labels == predicted), members(labels, count), members(predicted, count)


def _of_choices(score: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda labels, probabilities: float(score(labels, probabilities.argmax(axis=1)))


def _accuracies(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    right = (labels == probabilities.argmax(axis=1)).astype(np.float64)
    return lambda weights: weighted_means(weights, right)


def _recalls(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    right, true, _ = _members(labels, probabilities)
    return lambda weights: (weights @ right) / (weights @ true)


def _f1s(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    right, true, predicted = _members(labels, probabilities)
    return lambda weights: 2 * (weights @ right) / (weights @ true + weights @ predicted)


def _roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Binary, or one class against the rest, averaged over the classes that occur."""
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    if len(present) > MANY:
        return point_value(mean_over_classes(_areas))(labels, probabilities)
    if probabilities.shape[1] == 2:
        present = present[1:]
    return float(np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


def _areas(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    """The area (resamples, classes that occur) of each class against the rest; of two classes that of the second."""
    present = np.array([1]) if probabilities.shape[1] == 2 else np.unique(labels)
    if len(present) > MANY and len(present) * PASS > len(labels):
        return _areas_of_many(labels, probabilities)
    rankings = [areas_above(labels == k, probabilities[:, k]) for k in present]

    def areas(weights: np.ndarray) -> np.ndarray:
        by_example = np.ascontiguousarray(weights.T)
        return np.stack([ranking(by_example) for ranking in rankings], axis=1)

    return areas


def _areas_of_many(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    """The area (resamples, classes that occur) of many classes with few examples each, by products of matrices.

    Example i is a positive of one class alone. With M_ij = [s_j < s_i] + [s_j = s_i] / 2 by the scores of that class,
    and 0 where j has it too, the pairs in the right order are sum_i w_i (M w)_i over the examples i of a class.
    """
    _, member = np.unique(labels, return_inverse=True)
    classes, rows = int(member.max()) + 1, max(1, BLOCK // len(labels))

    def areas(weights: np.ndarray) -> np.ndarray:
        pairs = np.zeros((len(weights), classes))
        for start in range(0, len(labels), rows):
            some = np.arange(start, min(start + rows, len(labels)))
            scores = probabilities[:, labels[some]].T
            own = probabilities[some, labels[some]][:, None]
            below = np.add(scores < own, scores <= own, dtype=np.float64) / 2
            below[labels[some][:, None] == labels] = 0
            pairs += (weights[:, some] * (weights @ below.T)) @ members(member[some], classes)
        positives = weights @ members(member, classes)
        return pairs / (positives * (weights.sum(axis=1, keepdims=True) - positives))

    return areas


def _log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    if probabilities.shape[1] > MANY:  # scikit-learn makes several matrices of their size
        return point_value(_log_losses)(labels, probabilities)
    return log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1]))


def _log_losses(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    tiny = np.finfo(probabilities.dtype).eps
    losses = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], tiny, 1 - tiny))
    return lambda weights: weighted_means(weights, losses)


def _calibration_errors(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    correct = labels == probabilities.argmax(axis=1)
    return lambda weights: expected_calibration_error(probabilities.max(axis=1), correct, weights)
