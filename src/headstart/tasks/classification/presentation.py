"""Class names and probabilities as tables and reports show them: confusions, reliability, the worst mistakes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from headstart.contracts.examples import Examples
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Matrix, Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.tasks._label_kinds import TARGET, class_names
from headstart.tasks._reliability import reliability
from headstart.tasks.classification.task import BoundClassification

LARGEST_MATRIX = 40
"""Classes up to which confusions are shown as a matrix."""

MOST_CONFUSIONS = 30
"""Rows of the table that stands in for a larger matrix."""

SURE = "Accuracy of predictions by confidence; on the diagonal, the confidence is right."


class ClassificationPresentation(NamedTuple):
    """Class names and probabilities, shown."""

    classes: tuple[str, ...]

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the labels as they stand in the data."""
        return class_names(examples)

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the examples of each class."""
        return Counter(str(label) for label in labels)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction" (class name), "confidence" in [0, 1], and "p_CLASS" for every class."""
        probabilities = prediction.columns["probabilities"]
        return {
            "prediction": np.array(self.classes, dtype=object)[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
            **{f"p_{name}": probabilities[:, k] for k, name in enumerate(self.classes)},
        }

    def misfit(self, prediction: Prediction, targets: Targets) -> np.ndarray:
        """Return 1 - p(class), 0 for the likeliest class (LAC of Sadinle, Lei & Wasserman 2019, never empty)."""
        return np.take_along_axis(_misfits(prediction), targets[TARGET][:, None], axis=1)[:, 0]

    def within(self, prediction: Prediction, radius: float) -> Mapping[str, np.ndarray]:
        """ "set": the classes within, the likeliest first, as JSON; and "set size"."""
        probabilities, inside = prediction.columns["probabilities"], _misfits(prediction) <= radius
        order = np.argsort(-probabilities, axis=1, kind="stable")
        sets = [[self.classes[k] for k in row if some[k]] for row, some in zip(order, inside)]
        written = np.array([json.dumps(names, ensure_ascii=False) for names in sets], dtype=object)
        return {"set": written, "set size": inside.sum(axis=1)}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return the confusions, the reliability diagram, and precision and recall of every class."""
        labels, probabilities = targets[TARGET], prediction.columns["probabilities"]
        predicted = probabilities.argmax(axis=1)
        confusions = _confusion_matrix if len(self.classes) <= LARGEST_MATRIX else _confusion_table
        return (
            confusions(self.classes, labels, predicted),
            reliability(probabilities.max(axis=1), labels == predicted, SURE),
            _per_class(self.classes, labels, predicted),
        )

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return wrong predictions, the most confident first."""
        labels, probabilities = targets[TARGET], prediction.columns["probabilities"]
        predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted != labels)
        return tuple(
            Mistake(
                row=int(row),
                truth=self.classes[labels[row]],
                predicted=self.classes[predicted[row]],
                weight=float(confidence[row]),
                weight_text=f"{math.floor(100 * confidence[row])} % sure",
            )
            for row in wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
        )


def presentation(task: BoundClassification) -> ClassificationPresentation:
    """Show class names and their probabilities."""
    return ClassificationPresentation(task.classes)


def review(examples: Examples) -> Review:
    """Review labels of which each names one class."""
    labels = [None if name is None else (name,) for name in class_names(examples)]
    return Review(missing=labels.count(None), labels=labels)


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


def _misfits(prediction: Prediction) -> np.ndarray:
    """(examples, classes)"""
    found = 1 - prediction.columns["probabilities"]
    np.put_along_axis(found, found.argmin(axis=1)[:, None], 0.0, axis=1)
    return np.asarray(found)
