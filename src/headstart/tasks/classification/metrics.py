"""The metrics of classification: by scikit-learn for one set of predictions, and for many reweightings at once.

A replicate equals the point value of the rows repeated as often as their weights say: classes that a resample leaves
without a row leave the averages over classes too, as they leave the point value. Undefined is NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from headstart.contracts.metric import SHARE, Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.numerics.calibration import expected_calibration_error
from headstart.tasks._label_kinds import TARGET
from headstart.tasks._reweighted import UNSTEADY, f1_steps, f1_trials, mean_of_present, members, weighted_means

MANY = 50
"""Classes from which on scikit-learn, which takes each by itself, is not asked."""

PASS = 20
"""Examples that a product of matrices adds up in the time of one step of a cumulative sum."""

BLOCK = 1 << 22
"""Pairs of examples that are compared at once: 32 MB."""

Score = Callable[[np.ndarray, np.ndarray], float]
"""(labels (examples,), probabilities (examples, classes)) -> value."""

Reweighted = Callable[[np.ndarray, np.ndarray], Replicates]
"""The same, to a function of weights."""


Terms = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray | None, np.ndarray | None]]
"""The same, to the shares whose mean a metric is, and the trials of each."""


def classification_metrics(classes: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Accuracy first; the rest in the order in which a report shows them. `classes` are named where they are rare."""
    balanced = _of_classes(classes, _recalls)
    f1, auc, loss = (
        _of_classes(classes, _f1s, steps=_f1_steps),
        _of_classes(classes, _areas, UNSTEADY),
        _of_classes(classes, _no_terms),
    )
    return (
        _metric("accuracy", "Accuracy", True, _accuracy, _accuracy_replicates, SHARE),
        _metric(
            "balanced_accuracy",
            "Balanced accuracy",
            True,
            _balanced_accuracy,
            _balanced_accuracy_replicates,
            SHARE,
            support=balanced,
        ),
        _metric("macro_f1", "Macro F1", True, _macro_f1, _macro_f1_replicates, SHARE, support=f1),
        _metric("roc_auc", "ROC AUC", True, _roc_auc, _roc_auc_replicates, support=auc),
        _metric(
            "log_loss",
            "Log loss",
            False,
            _log_loss,
            _log_loss_replicates,
            bounds=(0.0, np.inf),
            ties=True,
            support=loss,
        ),
        _metric(
            "ece",
            "Calibration error (ECE)",
            False,
            _calibration_error,
            _calibration_error_replicates,
            flaw="no interval: chance adds to it",
        ),
    )


def _of_classes(
    names: Sequence[str],
    terms: Terms,
    prior: float = 0.0,
    steps: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Callable[[Targets, Prediction], Support]:
    def support(targets: Targets, prediction: Prediction) -> Support:
        labels, probabilities = targets[TARGET], prediction.columns["probabilities"]
        count = probabilities.shape[1]
        quoted = [f"'{name}'" for name in names or range(count)]
        with np.errstate(invalid="ignore", divide="ignore"):
            each = None if steps is None else steps(labels, probabilities)
            return Support(
                "examples of", quoted, members(labels, count), *terms(labels, probabilities), prior, steps=each
            )

    return support


def _recalls(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hits, true, _ = _counts(labels, probabilities)
    return hits / true, true


def _f1s(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half of the trials, as each error is one of two classes."""
    hits, true, predicted = _counts(labels, probabilities)
    values = 2 * hits / (true + predicted)
    return values, f1_trials(true + predicted - hits, values) / 2


def _f1_steps(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    _, true, predicted = _counts(labels, probabilities)
    return f1_steps(true + predicted)


def _areas(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trials by the variance of Newcombe (2006), method 5, after Hanley & McNeil (1982): of m and q examples

    A (1 - A) (1 + N (1 - A) / (2 - A) + N A / (1 + A)) / (m q),   N = (m + q) / 2 - 1.
    """
    _, true, _ = _counts(labels, probabilities)
    values, m = _areas_each(labels, probabilities), true
    if probabilities.shape[1] == 2:
        m = true[1:]
    total = len(labels)
    more = (total / 2 - 1) * ((1 - values) / (2 - values) + values / (1 + values))
    return values, m * (total - m) / (1 + more)


def _no_terms(labels: np.ndarray, probabilities: np.ndarray) -> tuple[None, None]:  # noqa: ARG001
    return None, None


def _counts(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(3, classes): right, true and predicted examples of each class."""
    predicted, count = probabilities.argmax(axis=1), probabilities.shape[1]
    kinds = (labels[labels == predicted], labels, predicted)
    return np.stack([np.bincount(codes, minlength=count) for codes in kinds]).astype(np.float64)


def _areas_each(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The area of each class against the rest, of two classes that of the second; NaN where one is absent."""
    count = probabilities.shape[1]
    if count > MANY:
        areas = np.full(count, np.nan)
        areas[np.unique(labels)] = _each_of_many(labels, probabilities)(np.ones((1, len(labels))))[0]
        return areas
    kept = [1] if count == 2 else range(count)
    return np.array([_ranking(labels == k, probabilities[:, k])(np.ones((len(labels), 1)))[0] for k in kept])


def _metric(
    name: str,
    title: str,
    greater: bool,
    score: Score,
    reweighted: Reweighted,
    unit: str = "",
    bounds: tuple[float, float] = (0.0, 1.0),
    ties: bool = False,
    support: Callable[[Targets, Prediction], Support] | None = None,
    flaw: str = "",
) -> Metric:
    def value(targets: Targets, prediction: Prediction) -> float:
        with (
            warnings.catch_warnings()
        ):  # scikit-learn warns of classes without a row; here they are left out on purpose
            warnings.simplefilter("ignore")
            return float(score(targets[TARGET], prediction.columns["probabilities"]))

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        return reweighted(targets[TARGET], prediction.columns["probabilities"])

    return Metric(name, title, greater, value, replicates, unit, bounds, ties, support, flaw)


def _accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return accuracy_score(labels, probabilities.argmax(axis=1))


def _accuracy_replicates(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    right = (labels == probabilities.argmax(axis=1)).astype(np.float64)
    return lambda weights: weighted_means(weights, right)


def _balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return balanced_accuracy_score(labels, probabilities.argmax(axis=1))


def _balanced_accuracy_replicates(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    classes = probabilities.shape[1]
    right = labels == probabilities.argmax(axis=1)

    def replicates(weights: np.ndarray) -> np.ndarray:
        hits = _class_sums(weights[:, right], labels[right], classes)
        return mean_of_present(hits / _class_sums(weights, labels, classes))

    return replicates


def _macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0)


def _macro_f1_replicates(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    right = labels == predicted

    def replicates(weights: np.ndarray) -> np.ndarray:
        hits = _class_sums(weights[:, right], labels[right], classes)
        either = _class_sums(weights, labels, classes) + _class_sums(weights, predicted, classes)
        return mean_of_present(2 * hits / either)

    return replicates


def _roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Binary, or one class against the rest, averaged over the classes that occur."""
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    if probabilities.shape[1] == 2:
        present = present[1:]
    if len(present) > MANY:
        return float(_areas_of_many(labels, probabilities)(np.ones((1, len(labels))))[0])
    return float(np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


def _roc_auc_replicates(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    present = [1] if probabilities.shape[1] == 2 else np.unique(labels)
    if len(present) > MANY and len(present) * PASS > len(labels):
        return _areas_of_many(labels, probabilities)
    rankings = [_ranking(labels == k, probabilities[:, k]) for k in present]

    def replicates(weights: np.ndarray) -> np.ndarray:
        by_example = np.ascontiguousarray(weights.T)
        return mean_of_present(np.stack([ranking(by_example) for ranking in rankings], axis=1))

    return replicates


def _areas_of_many(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    areas = _each_of_many(labels, probabilities)
    return lambda weights: mean_of_present(areas(weights))


def _each_of_many(labels: np.ndarray, probabilities: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The area (resamples, classes that occur) of many classes with few examples each, by products of matrices.

    Example i is a positive of one class alone. With M_ij = [s_j < s_i] + [s_j = s_i] / 2 by the scores of that class,
    and 0 where j has it too, the pairs in the right order are sum_i w_i (M w)_i over the examples i of a class.
    """
    _, member = np.unique(labels, return_inverse=True)
    classes, rows = int(member.max()) + 1, max(1, BLOCK // len(labels))

    def replicates(weights: np.ndarray) -> np.ndarray:
        pairs = np.zeros((len(weights), classes))
        for start in range(0, len(labels), rows):
            some = np.arange(start, min(start + rows, len(labels)))
            scores = probabilities[:, labels[some]].T
            own = probabilities[some, labels[some]][:, None]
            below = np.add(scores < own, scores <= own, dtype=np.float64) / 2
            below[labels[some][:, None] == labels] = 0
            pairs += _class_sums(weights[:, some] * (weights @ below.T), member[some], classes)
        positives = _class_sums(weights, member, classes)
        return pairs / (positives * (weights.sum(axis=1, keepdims=True) - positives))

    return replicates


def _ranking(positive: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The Mann-Whitney form: the share of (positive, negative) pairs in the right order, a tie counting one half."""
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


def _log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    if probabilities.shape[1] > MANY:  # scikit-learn makes several matrices of their size
        return float(_log_loss_replicates(labels, probabilities)(np.ones((1, len(labels))))[0])
    return log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1]))


def _log_loss_replicates(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    tiny = np.finfo(probabilities.dtype).eps
    losses = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], tiny, 1 - tiny))
    return lambda weights: weighted_means(weights, losses)


def _calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float(_calibration_error_replicates(labels, probabilities)(np.ones((1, len(labels))))[0])


def _calibration_error_replicates(labels: np.ndarray, probabilities: np.ndarray) -> Replicates:
    correct = labels == probabilities.argmax(axis=1)
    return lambda weights: expected_calibration_error(probabilities.max(axis=1), correct, weights)


def _class_sums(weights: np.ndarray, codes: np.ndarray, classes: int) -> np.ndarray:
    """(resamples, classes): the weight of the examples of each class."""
    return weights @ members(codes, classes)
