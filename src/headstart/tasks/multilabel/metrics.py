"""The metrics of multi-label classification: each by scikit-learn, and for many reweightings of the examples at once.

Mean average precision is the mean over labels of sum_k (R_k - R_{k-1}) P_k, the precision P_k at each threshold
weighted by the recall that it adds. A label without a positive example has no average precision and leaves the mean,
in a resample as in the point value; F1 is undefined for a label that is neither true nor predicted anywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, f1_score

from headstart.contracts.metric import SHARE, Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.tasks._label_kinds import TARGET
from headstart.tasks._reweighted import UNSTEADY, f1_steps, f1_trials, mean_of_present

FEWEST = 15
"""Positives below which an average precision has no interval: its bias is then as large as its error."""

PROBABILITIES, CHOSEN = "probabilities", "chosen"
"""Columns of a finished prediction: (examples, labels) in [0, 1], and whether each is above its threshold."""

Score = Callable[[np.ndarray, np.ndarray], float]
"""(truth (examples, labels), column (examples, labels)) -> value."""

Reweighted = Callable[[np.ndarray, np.ndarray], Replicates]
"""The same, to a function of weights."""

RestsOn = Callable[[np.ndarray, np.ndarray], Support]
"""The same, to what the metric rests on."""


def multilabel_metrics(classes: Sequence[str]) -> tuple[Metric, ...]:
    """Mean average precision first, F1 over all decisions and over labels, then the average precision of each label."""
    return (
        _metric(
            "mean_average_precision",
            "Mean average precision",
            PROBABILITIES,
            _mean_precision,
            _mean_precision_replicates,
            partial(_precisions, classes),
        ),
        _metric("micro_f1", "Micro F1", CHOSEN, _micro_f1, _micro_f1_replicates, _pooled_f1, SHARE),
        _metric("macro_f1", "Macro F1", CHOSEN, _macro_f1, _macro_f1_replicates, partial(_f1s, classes), SHARE),
        *(_of_label(name, k) for k, name in enumerate(classes)),
    )


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Of one label, from truth and scores (examples,); NaN without a positive example."""
    return float(average_precision_score(truth, scores)) if truth.any() else np.nan


def _metric(
    name: str, title: str, column: str, score: Score, reweighted: Reweighted, rests_on: RestsOn, unit: str = ""
) -> Metric:
    def value(targets: Targets, prediction: Prediction) -> float:
        with warnings.catch_warnings():  # of labels without a row; they are left out on purpose
            warnings.simplefilter("ignore")
            return float(score(targets[TARGET], prediction.columns[column]))

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        return reweighted(targets[TARGET], prediction.columns[column])

    def support(targets: Targets, prediction: Prediction) -> Support:
        with np.errstate(invalid="ignore", divide="ignore"):
            return rests_on(targets[TARGET], prediction.columns[column])

    return Metric(name, title, True, value, replicates, unit, (0.0, 1.0), support=support)


def _precisions(names: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> Support:
    """Trials of an average precision: its positives, as in Boyd, Eng & Page (2013)."""
    values = np.array([average_precision(*columns) for columns in zip(truth.T, scores.T)])
    trials = np.maximum(truth.sum(axis=0), 1).astype(np.float64)
    return Support("examples of", _quoted(names), csr_array(truth), values, trials, UNSTEADY, FEWEST)


def _f1s(names: Sequence[str], truth: np.ndarray, chosen: np.ndarray) -> Support:
    either = truth.astype(bool) | chosen
    counted = truth.sum(axis=0) + chosen.sum(axis=0)
    values = 2 * (truth.astype(bool) & chosen).sum(axis=0) / counted
    trials, steps = f1_trials(either.sum(axis=0), values), f1_steps(counted)
    return Support("examples of", _quoted(names), csr_array(truth), values, trials, steps=steps)


def _pooled_f1(truth: np.ndarray, chosen: np.ndarray) -> Support:
    values = np.array([_micro_f1(truth, chosen)])
    trials = f1_trials(np.array([(truth.astype(bool) | chosen).sum()]), values)
    steps = f1_steps(np.array([truth.sum() + chosen.sum()]))
    rows = csr_array(truth.any(axis=1, keepdims=True))
    return Support("examples with", ["a label"], rows, values, trials, steps=steps)


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def _of_label(name: str, k: int) -> Metric:
    def score(truth: np.ndarray, scores: np.ndarray) -> float:
        return average_precision(truth[:, k], scores[:, k])

    def reweighted(truth: np.ndarray, scores: np.ndarray) -> Replicates:
        return _ranking(truth[:, k], scores[:, k])

    def rests_on(truth: np.ndarray, scores: np.ndarray) -> Support:
        return _precisions([name], truth[:, [k]], scores[:, [k]])

    return _metric(
        f"average_precision_{name}", f"Average precision ({name})", PROBABILITIES, score, reweighted, rests_on
    )


def _mean_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.nanmean([average_precision(truth[:, k], scores[:, k]) for k in range(truth.shape[1])]))


def _mean_precision_replicates(truth: np.ndarray, scores: np.ndarray) -> Replicates:
    rankings = [_ranking(truth[:, k], scores[:, k]) for k in range(truth.shape[1])]
    return lambda weights: mean_of_present(np.stack([ranking(weights) for ranking in rankings], axis=1))


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
    return f1_score(truth.ravel(), chosen.ravel().astype(int), zero_division=np.nan)


def _micro_f1_replicates(truth: np.ndarray, chosen: np.ndarray) -> Replicates:
    hits, either = (truth.astype(bool) & chosen).sum(axis=1), truth.sum(axis=1) + chosen.sum(axis=1)
    return lambda weights: 2 * (weights @ hits) / (weights @ either)


def _macro_f1(truth: np.ndarray, chosen: np.ndarray) -> float:
    columns = zip(truth.T, chosen.T.astype(int))
    return float(np.nanmean([f1_score(true, predicted, zero_division=np.nan) for true, predicted in columns]))


def _macro_f1_replicates(truth: np.ndarray, chosen: np.ndarray) -> Replicates:
    hits, either = (truth.astype(bool) & chosen).astype(np.float64), truth.astype(np.float64) + chosen
    return lambda weights: mean_of_present(2 * (weights @ hits) / (weights @ either))
