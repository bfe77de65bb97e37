"""What a report shows of multi-label predictions: the figures of each label, reliability, and the worst examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from headstart.contracts.carriers import Prediction
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Bin, Mistake, Panel, Reliability, Table
from headstart.numerics.calibration import BINS, confidence_bins
from headstart.tasks.multilabel.metrics import CHOSEN, PROBABILITIES, average_precision

Written = Callable[[np.ndarray], str]
"""Which labels an example has (labels,) -> the same as text."""


def multilabel_exhibits(classes: Sequence[str], truth: np.ndarray, prediction: Prediction) -> tuple[Panel, ...]:
    """A row per label, and the reliability of all decisions, from truth (examples, labels)."""
    return _per_label(classes, truth, prediction), _reliability(truth, prediction.columns[PROBABILITIES])


def surest_errors(
    classes: Sequence[str], truth: np.ndarray, prediction: Prediction, most: int, written: Written
) -> tuple[Mistake, ...]:
    """Examples with a wrong label or one that is missed, from truth (examples, labels); the surest errors first."""
    probabilities, chosen = prediction.columns[PROBABILITIES], prediction.columns[CHOSEN]
    wrong = truth.astype(bool) != chosen
    error = np.where(wrong, np.abs(truth - probabilities), 0.0)
    rows = np.flatnonzero(wrong.any(axis=1))
    worst = rows[np.argsort(-error[rows].max(axis=1), kind="stable")][:most]
    return tuple(
        Mistake(
            row=int(row),
            truth=written(truth[row]),
            predicted=written(chosen[row]),
            weight=float(error[row].max()),
            weight_text=_words(classes, error[row], probabilities[row]),
        )
        for row in worst
    )


def _words(classes: Sequence[str], error: np.ndarray, probabilities: np.ndarray) -> str:
    """The surest error of one example: 'red: 97 % sure'."""
    k = int(error.argmax())
    return f"{classes[k]}: {math.floor(100 * probabilities[k])} % sure"


def _per_label(classes: Sequence[str], truth: np.ndarray, prediction: Prediction) -> Table:
    rows = []
    for k, name in enumerate(classes):
        true, chosen = truth[:, k], prediction.columns[CHOSEN][:, k].astype(int)
        figures = precision_recall_fscore_support(true, chosen, labels=[1], zero_division=np.nan)
        precise = average_precision(true, prediction.columns[PROBABILITIES][:, k])
        rows.append((name, *(_defined(value) for value in (precise, *(f[0] for f in figures[:3]))), int(true.sum())))
    return Table(
        title="Each label",
        note="Precision is empty for a label that was never predicted, recall for one without test examples.",
        header=("label", "average precision", "precision", "recall", "F1", "examples"),
        units=("", "", SHARE, SHARE, SHARE),
        rows=tuple(rows),
    )


def _reliability(truth: np.ndarray, probabilities: np.ndarray) -> Reliability:
    member = confidence_bins(probabilities)
    bins = [
        Bin(confidence=float(probabilities[inside].mean()), accuracy=float(truth[inside].mean()), n=int(inside.sum()))
        for inside in (member == b for b in range(BINS))
        if inside.any()
    ]
    return Reliability(
        title="Reliability",
        note="How often a label is true among those of like probability, over all labels of all examples.",
        bins=tuple(bins),
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
