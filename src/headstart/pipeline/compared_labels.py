"""Labels of several sets as classes with one numbering, so that sets can be compared by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.pipeline.examine import reviews_of

BANDS = 5
"""Bands of about equal size that labels which are numbers fall into."""


def class_numbers(
    one: Examples, other: Examples, task: str
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Return the number of each example's class in both sets, -1 where its label is missing, and the names of classes.

    Numbers fall into bands of the first set's. A set without labels of one class each has None.

    Args:
        task: name of the task, or 'auto'.
    """
    labels = [_labels(examples, task) for examples in (one, other)]
    first = labels[0]
    if first is not None and all(isinstance(one, float) for one in first if one is not None):
        known = np.array([one for one in first if one is not None])
        edges = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS)) if len(known) else known
        labels = [None if of is None else [_band(one, edges) for one in of] for of in labels]
    names = sorted({_name(one) for of in labels for one in of or () if one is not None})
    number = {name: k for k, name in enumerate(names)}
    codes = [
        None if of is None else np.array([-1 if one is None else number[_name(one)] for one in of]) for of in labels
    ]
    return codes[0], codes[1], tuple(names)


def _labels(examples: Examples, task: str) -> list[Any] | None:
    """Names or numbers, None where a label is missing."""
    if not examples.schema.targets:
        return None
    reviews, _ = reviews_of(examples, task)
    labels: Sequence[tuple[str, ...] | None] = next((review.labels for review in reviews if review.labels), ())
    if labels:
        return [one and one[0] for one in labels] if all(one is None or len(one) == 1 for one in labels) else None
    values = examples.target(next(iter(examples.schema.targets)))
    known = [value for value in values if value is not None]
    if not known or not all(isinstance(value, (int, float)) for value in known):
        return None
    return [None if value is None or value != value else float(value) for value in values]


def _name(label: str | float) -> str:
    """The name of a class; the same of 3 and 3.0, as a small set's labels may pass for numbers."""
    return f"{label:.15g}" if isinstance(label, float) else str(label)


def _band(label: str | float | None, edges: np.ndarray) -> str | None:
    try:
        place = int(np.searchsorted(edges, float("" if label is None else label), side="right"))
    except ValueError:
        return None
    low = "" if place == 0 else f"from {edges[place - 1]:g} "
    high = "" if place == len(edges) else f"below {edges[place]:g}"
    return f"{place + 1}: {low}{high}".strip()
