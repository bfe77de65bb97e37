"""What a report shows of a classifier: which classes it confuses, whether confidence is earned, the worst mistakes."""

from __future__ import annotations

import math

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Bin, Matrix, Mistake, Panel, Reliability, Table
from headstart.numerics.calibration import BINS, confidence_bins

LARGEST_MATRIX = 40
"""Classes up to which confusions are shown as a matrix."""

MOST_CONFUSIONS = 30
"""Rows of the table that stands in for a larger matrix."""


def classification_panels(classes: tuple[str, ...], labels: np.ndarray, probabilities: np.ndarray) -> tuple[Panel, ...]:
    """Confusions, reliability, and a row per class, from labels (examples,) and probabilities (examples, classes)."""
    predicted = probabilities.argmax(axis=1)
    confusions = _confusion_matrix if len(classes) <= LARGEST_MATRIX else _confusion_table
    return (
        confusions(classes, labels, predicted),
        _reliability(probabilities.max(axis=1), labels == predicted),
        _per_class(classes, labels, predicted),
    )


def confident_mistakes(
    classes: tuple[str, ...], labels: np.ndarray, probabilities: np.ndarray, most: int
) -> tuple[Mistake, ...]:
    """Wrong predictions, the most confident first, from labels (examples,) and probabilities (examples, classes)."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return tuple(
        Mistake(
            row=int(row),
            truth=classes[labels[row]],
            predicted=classes[predicted[row]],
            weight=float(confidence[row]),
            weight_text=f"{math.floor(100 * confidence[row])} % sure",
        )
        for row in worst
    )


def _confusion_matrix(classes: tuple[str, ...], labels: np.ndarray, predicted: np.ndarray) -> Matrix:
    counts = confusion_matrix(labels, predicted, labels=range(len(classes)))
    return Matrix(
        title="Confusions",
        note="Rows are the true classes, columns the predicted ones.",
        names=classes,
        counts=tuple(tuple(row) for row in counts.tolist()),
    )


def _confusion_table(classes: tuple[str, ...], labels: np.ndarray, predicted: np.ndarray) -> Table:
    wrong = labels != predicted
    pairs, counts = np.unique(np.stack([labels[wrong], predicted[wrong]]), axis=1, return_counts=True)
    often = np.argsort(-counts, kind="stable")[:MOST_CONFUSIONS]
    return Table(
        title="Most frequent confusions",
        note=f"{int(wrong.sum())} of {len(labels)} examples are predicted wrongly, in {len(counts)} different ways.",
        header=("true class", "predicted class", "examples"),
        rows=tuple((classes[pairs[0, k]], classes[pairs[1, k]], int(counts[k])) for k in often),
    )


def _reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    member = confidence_bins(confidence)
    bins = [
        Bin(confidence=float(confidence[inside].mean()), accuracy=float(right[inside].mean()), n=int(inside.sum()))
        for inside in (member == b for b in range(BINS))
        if inside.any()
    ]
    return Reliability(
        title="Reliability",
        note="Accuracy of predictions by confidence; on the diagonal, the confidence is right.",
        bins=tuple(bins),
    )


def _per_class(classes: tuple[str, ...], labels: np.ndarray, predicted: np.ndarray) -> Table:
    columns = precision_recall_fscore_support(labels, predicted, labels=range(len(classes)), zero_division=np.nan)
    return Table(
        title="Each class",
        note="Precision is empty for a class that was never predicted, recall for one without test examples.",
        header=("class", "precision", "recall", "F1", "examples"),
        units=("", SHARE, SHARE, SHARE),
        rows=tuple(
            (name, *(_defined(value) for value in values), int(support))
            for name, *values, support in zip(classes, *columns)
        ),
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
