"""Label sets as tables and reports show them: the figures of each label, reliability, and the worst examples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from headstart.contracts.examples import Examples
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.tasks._label_kinds import TARGET, kind_of
from headstart.tasks._label_sets import LISTS, form_of, label_sets
from headstart.tasks._reliability import reliability
from headstart.tasks.multilabel.metrics import CHOSEN, PROBABILITIES, average_precision
from headstart.tasks.multilabel.task import BoundMultiLabel

SURE = "How often a label is true among those of like probability, over all labels of all examples."


class MultiLabelPresentation(NamedTuple):
    """Label sets and the probabilities of labels, shown."""

    classes: tuple[str, ...]
    separator: str
    encode: Callable[[Examples], Targets]
    """The targets of examples."""

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the labels of each example in one text, in the order of the classes."""
        return [self._written(row) for row in self.encode(examples)[TARGET]]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the examples that have each label."""
        return Counter(name for text in labels for name in text.split(self.separator) if name)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction" (the labels taken, with the separator between them), and "p_LABEL" for every label."""
        probabilities = prediction.columns[PROBABILITIES]
        chosen = [self._written(row) for row in prediction.columns[CHOSEN]]
        scores = {f"p_{name}": probabilities[:, k] for k, name in enumerate(self.classes)}
        return {"prediction": np.array(chosen, dtype=object), **scores}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return the figures of each label, and the reliability of all decisions."""
        truth = targets[TARGET]
        probabilities = prediction.columns[PROBABILITIES]
        return _per_label(self.classes, truth, prediction), reliability(probabilities, truth, SURE)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return examples with a wrong label or one that is missed, the surest errors first."""
        truth, probabilities = targets[TARGET], prediction.columns[PROBABILITIES]
        chosen = prediction.columns[CHOSEN]
        wrong = truth.astype(bool) != chosen
        error = np.where(wrong, np.abs(truth - probabilities), 0.0)
        rows = np.flatnonzero(wrong.any(axis=1))
        return tuple(
            Mistake(
                row=int(row),
                truth=self._written(truth[row]),
                predicted=self._written(chosen[row]),
                weight=float(error[row].max()),
                weight_text=_words(self.classes, error[row], probabilities[row]),
            )
            for row in rows[np.argsort(-error[rows].max(axis=1), kind="stable")][:most]
        )

    def _written(self, has: np.ndarray) -> str:
        return self.separator.join(name for name, one in zip(self.classes, has) if one)


def presentation(task: BoundMultiLabel) -> MultiLabelPresentation:
    """Show label sets as texts, with the separator between the labels."""
    return MultiLabelPresentation(task.classes, task.separator, task.targets)


def review(examples: Examples) -> Review:
    """Review labels that are sets of names."""
    form = form_of(examples)
    kinds = [kind_of(value) for value in examples.target(TARGET)]
    rows = [row for row, kind in enumerate(kinds) if form != LISTS or kind != "missing"]
    sets = dict(zip(rows, label_sets(examples.take(rows), form if form and form != LISTS else "")))
    labels = [tuple(sorted(sets[row])) if row in sets else None for row in range(len(examples))]
    return Review(missing=len(examples) - len(rows), labels=labels)


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


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
