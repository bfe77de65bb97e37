"""Labels and weights handed over in memory, as scikit-learn hands them: checked row by row, and given back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from headstart.contracts.prediction import Prediction
from headstart.kernel.errors import DataError
from headstart.pipeline.memory_data import is_sequence

_SETS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class ClassLabels:
    """The classes of y and those of each example."""

    classes: np.ndarray
    """(classes,) in order, as they stand in y; for a matrix the names of its columns, or their numbers."""
    names: tuple[str, ...]
    """What the task calls them."""
    column: Sequence[Any]
    """(examples,) the name of each example's class, or the names of its labels."""
    form: Literal["classes", "matrix", "sets"]
    """One class per example; or any number of labels, as a matrix (examples, labels) of 0 and 1 or as lists."""

    def given_back(self, prediction: Prediction) -> np.ndarray:
        """Return a finished prediction in the form of y (examples, ...), lists of labels as tuples."""
        if self.form == "classes":
            return np.asarray(self.classes[prediction.columns["probabilities"].argmax(axis=1)])
        chosen = prediction.columns["chosen"]
        if self.form == "matrix":
            return chosen.astype(np.int64)
        found = np.empty(len(chosen), dtype=object)
        found[:] = [tuple(self.classes[row].tolist()) for row in chosen]
        return found

    def matrix(self, y: Any) -> np.ndarray:
        """Return labels in the form of y as a matrix (examples, labels) of 0 and 1, for scores."""
        if self.form == "matrix":
            return np.asarray(y.toarray() if issparse(y) else y)
        number = {label: k for k, label in enumerate(self.classes.tolist())}
        found = np.zeros((len(y), len(number) + 1), dtype=np.int64)  # the last column is of labels that are not known
        for row, labels in enumerate(y):
            found[row, [number.get(_plain(label), len(number)) for label in labels]] = 1
        return found


def class_labels(y: Any) -> ClassLabels:
    """Classes (examples,), a matrix (examples, labels) of 0 and 1, or a list of lists or sets of labels.

    Raises:
        DataError: a label is missing, labels are of different kinds, or all examples have the same one.
        ValueError: numbers that are not classes, as scikit-learn says it.
    """
    if _is_matrix(y):
        return _of_matrix(y)
    if is_sequence(y) and len(y) and isinstance(next(iter(y)), (*_SETS, np.ndarray)):
        return _of_sets(y)
    label = one_column(
        y,
        "expected one class per example, or a matrix of 0 and 1 alone for several labels. For several classes per"
        " example, scikit-learn's MultiOutputClassifier fits a classifier for each column",
    )
    check_classification_targets(label)
    classes, codes = np.unique(label, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"y holds one class only ({classes.tolist()[0]!r}); a classifier needs at least two classes")
    names = tuple(str(name) for name in classes.tolist())
    return ClassLabels(classes, names, [names[code] for code in codes], "classes")


def values_of(y: Any) -> np.ndarray:
    """Numbers (examples,) to predict. Raises DataError and ValueError as `one_column`, and for what is not a number."""
    values = one_column(
        y, "expected one number per example. scikit-learn's MultiOutputRegressor fits a regressor for each column"
    )
    if values.dtype.kind not in "iuf":
        first = values.tolist()[0]
        if _kind_of(first) != "number":
            raise DataError(
                f"y holds {first!r} in row 0; a regressor needs numbers. For classes use TransferClassifier."
            )
    return values


def one_column(y: Any, several: str) -> np.ndarray:
    """Labels (examples,), each of them there and all of one kind; `several` is said where y has more columns.

    Raises:
        DataError: y has several columns, a label is missing, or labels are of different kinds.
        ValueError: y is not a sequence of labels, as scikit-learn says it.
    """
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] != 1:
        missing = np.argwhere(pd.isna(y))
        lacks = f" and NaN or None in row {missing[0][0]}" if len(missing) else ""
        raise DataError(f"y has {shape[1]} columns{lacks}; {several}.")
    _require_alike(y.ravel().tolist() if isinstance(y, np.ndarray) else list(y) if is_sequence(y) else [])
    label = column_or_1d(y, warn=True)
    _require_alike(label.tolist())
    return label


def example_weights(sample_weight: Any, count: int) -> np.ndarray | None:
    """Weights of `count` examples (examples,); None where each is 1.

    Raises:
        DataError: a weight is negative or no finite number, there is not one for each example, or all are 0.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.shape != (count,):
        raise DataError(
            f"sample_weight has the shape {weights.shape}; expected one weight for each of {count} examples"
        )
    try:
        weights = weights.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight holds something other than numbers: {error}") from None
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        more = f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
        raise DataError(
            f"sample_weight holds {weights[wrong[0]]:g} in row {wrong[0]}{more}; weights are finite numbers, 0 or more"
        )
    if not weights.any():
        raise DataError(f"sample_weight is zero for all {count} examples; nothing is left to fit on")
    return None if (weights == 1).all() else weights


def counted(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, np.ndarray | None]:
    """Inputs, labels and weights, None for 1 each, without the rows whose weight is 0. Raises as `example_weights`."""
    weights = example_weights(sample_weight, len(y) if is_sequence(y) else np.shape(y)[0])
    if weights is None or weights.all():
        return X, y, weights
    rows = np.flatnonzero(weights)
    weights = weights[rows]
    return _taken(X, rows), _taken(y, rows), None if (weights == 1).all() else weights


def required(y: Any, estimator: str) -> Any:
    """Labels as a sequence or an array. Raises DataError without any."""
    if y is None:
        raise DataError(f"{estimator} requires y to be passed, but the target y is None")
    return y if is_sequence(y) or hasattr(y, "shape") else np.asarray(y)


def _taken(values: Any, rows: np.ndarray) -> Any:
    """Some rows of inputs or labels, in whatever form scikit-learn hands them."""
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    return values[rows] if hasattr(values, "shape") else [values[row] for row in rows]


def _is_matrix(y: Any) -> bool:
    """True for 0 and 1 in several columns, also where rows are lists."""
    rows = is_sequence(y) and isinstance(next(iter(y), None), (list, tuple, np.ndarray))
    try:
        return (rows or getattr(y, "ndim", 1) == 2) and bool(type_of_target(y) == "multilabel-indicator")
    except (TypeError, ValueError):
        return False


def _of_matrix(y: Any) -> ClassLabels:
    columns = getattr(y, "columns", None)
    truth = np.asarray(y.toarray() if issparse(y) else y)
    classes = np.arange(truth.shape[1]) if columns is None else np.asarray(columns)
    names = tuple(str(name).strip() for name in classes.tolist())
    column = [[names[k] for k in np.flatnonzero(row)] for row in truth]
    return ClassLabels(classes, names, column, "matrix")


def _of_sets(y: Any) -> ClassLabels:
    sets = [_labels_of(row, labels) for row, labels in enumerate(y)]
    _require_alike([label for labels in sets for label in labels], [row for row, some in enumerate(sets) for _ in some])
    if blank := [row for row, labels in enumerate(sets) if any(not str(label).strip() for label in labels)]:
        raise DataError(f"y holds an empty label in row {blank[0]}; write [] for no label")
    classes = np.array(sorted({label for labels in sets for label in labels}))
    if not len(classes):
        raise DataError(f"none of the {len(sets)} examples has a label in y")
    names = tuple(str(name).strip() for name in classes.tolist())
    name_of = dict(zip(classes.tolist(), names))
    column = [[name_of[label] for label in sorted(set(labels))] for labels in sets]
    return ClassLabels(classes, names, column, "sets")


def _labels_of(row: int, labels: Any) -> list[Any]:
    if not isinstance(labels, (*_SETS, np.ndarray)):
        raise DataError(f"y holds {labels!r} in row {row} and lists of labels elsewhere; write [] for no label")
    return [_plain(label) for label in labels]


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def _require_alike(labels: Sequence[Any], rows: Sequence[int] | None = None) -> None:
    """Refuse missing labels and labels of different kinds; `rows` are those of the labels, where not one each."""
    rows = range(len(labels)) if rows is None else rows
    missing = [row for row, label in zip(rows, labels) if not isinstance(label, Collection) and pd.isna(label)]
    if missing:
        raise DataError(f"y contains NaN or None in row {missing[0]}; missing labels: {len(missing)} of {len(labels)}")
    first: dict[str, tuple[int, Any]] = {}
    for row, label in zip(rows, labels):
        first.setdefault(_kind_of(label), (row, label))
    if len(first) > 1:
        seen = ", ".join(f"{label!r} in row {row}" for row, label in sorted(first.values(), key=lambda found: found[0]))
        raise DataError(f"y holds labels of different kinds: {seen}. Write all of them in one way.")


def _kind_of(label: Any) -> str:
    label = _plain(label)
    if isinstance(label, (bool, str)):
        return type(label).__name__
    return "number" if isinstance(label, (int, float, complex)) else type(label).__name__
