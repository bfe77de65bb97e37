"""Columns that teach nothing, or too much: constant ones, identifiers and the label in other words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasNumbers, modality_named, raws_of

FEWEST = 20
"""Rows below which numbers that are all different, or that go with the labels, prove nothing."""

KEYS = frozenset("id no nr number code key serial account phone customer patient ticket order invoice case".split())
"""Words in the names of columns that identify rows."""

OWN = 0.95
"""Share of rows with a value of their own from which names identify them."""

_SAME = 1 - 1e-9
"""Correlation from which a column says the same as a target of numbers."""


def about_columns(examples: Examples) -> Iterator[str]:
    """Yield a sentence for each column that is better left out. Nothing where inputs are not numbers."""
    schema, kind = examples.schema, modality_named(examples.schema.modality)
    if not isinstance(kind, HasNumbers) or not len(examples):
        return
    columns = np.stack([kind.numbers(raw) for raw in raws_of(examples)]).T
    labels = examples.target(next(iter(schema.targets))) if schema.targets else None
    for name, values in zip(schema.inputs[len(schema.inputs) - len(columns) :], columns):
        known = values[np.isfinite(values)]
        if len(known) and np.ptp(known) == 0:
            yield f"column '{name}' is {known[0]:g} in every row: nothing can be learnt from it"
        elif _numbers_rows(known):
            yield f"column '{name}' numbers the rows and is learnt from: take it out unless it measures something"
        elif _identifies(name, known, len(values)) or (not len(known) and _own_names(examples.column(name))):
            yield (
                f"column '{name}' has another value in nearly every row, as an identifier has, and is learnt from: "
                f"--leave-out {name} unless it measures something"
            )
        elif labels is not None and _says_label(values, labels):
            yield f"column '{name}' says the label in other numbers: take it out unless it is known beforehand"


def _numbers_rows(values: np.ndarray) -> bool:
    """Return whether values (rows,) are consecutive whole numbers, in any order."""
    count = len(values)
    if count < FEWEST or values.min() % 1:
        return False
    return bool((np.sort(values) == values.min() + np.arange(count)).all())


def _identifies(name: str, values: np.ndarray, rows: int) -> bool:
    """Return whether values (rows,) are whole and nearly all different, and rise row by row or are called a key."""
    if rows < FEWEST or len(values) < rows or (values % 1).any() or len(np.unique(values)) < OWN * rows:
        return False
    words = set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
    return bool(words & KEYS) or bool((np.diff(values) > 0).all())


def _own_names(cells: Sequence[object]) -> bool:
    """Return whether cells are texts, nearly all of them different."""
    names = {cell for cell in cells if isinstance(cell, str)}
    return len(cells) >= FEWEST and len(names) >= OWN * len(cells)


def _says_label(values: np.ndarray, labels: list[object]) -> bool:
    """Return whether a column has one value for each class, or goes with a target of numbers in a straight line."""
    rows = [row for row, label in enumerate(labels) if label is not None and np.isfinite(values[row])]
    if len(rows) < FEWEST:
        return False
    numbers = values[rows]
    try:
        pairs = {(value, labels[row]) for value, row in zip(numbers.tolist(), rows)}
    except TypeError:  # lists of labels
        return False
    classes = len({label for _, label in pairs})
    if 2 * classes <= len(rows):
        return len(pairs) == classes == len(set(numbers.tolist())) > 1
    if not all(isinstance(labels[row], (int, float)) for row in rows) or np.ptp(numbers) == 0:
        return False
    targets = np.array([labels[row] for row in rows], dtype=np.float64)
    return bool(np.ptp(targets) > 0 and abs(np.corrcoef(numbers, targets)[0, 1]) >= _SAME)
