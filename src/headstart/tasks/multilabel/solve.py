"""A logistic regression for each label, all on the same scaled features; see `_logistic.py`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from headstart.tasks._logistic import Scalings, solve_logistic


class LabelSolution(NamedTuple):
    """A linear map on raw features to one logit per label, and how it was chosen."""

    weight: np.ndarray
    """(labels, width)"""
    bias: np.ndarray
    """(labels,)"""
    C: float
    """Median over the labels that could be told apart."""
    cv_score: float
    """Mean log likelihood of held-out examples, over these labels; NaN without folds."""
    folds: int
    """Fewest of a label."""
    held_out: list[tuple[np.ndarray, np.ndarray]]
    """For each label, probabilities (held-out examples,) by heads solved without them, and which of them have it."""


def solve_labels(features: np.ndarray, truth: np.ndarray, *, groups: np.ndarray | None, seed: int) -> LabelSolution:
    """Fit features (examples, width) to truth (examples, labels) of 0 and 1.

    A label that all examples have, or none, gets a constant probability beside 1 or 0, as that of one more example.

    Args:
        features: finite floats.
        truth: which labels each example has; one at least must differ between examples.
        groups: (examples,) what is held out together.
        seed: of the folds.
    """
    scalings, n = Scalings(features), len(truth)
    weight, bias = np.zeros((truth.shape[1], features.shape[1])), np.zeros(truth.shape[1])
    solved, held_out = [], [(np.empty(0), np.empty(0))] * truth.shape[1]
    for k, column in enumerate(truth.astype(np.int64).T):
        if column.min() == column.max():
            bias[k] = np.log(n) if column[0] else -np.log(n)
            continue
        found = solve_logistic(scalings, column, 2, weights=None, groups=groups, seed=seed)
        weight[k], bias[k] = found.weight[1] - found.weight[0], found.bias[1] - found.bias[0]
        solved.append(found)
        if found.held_out is not None:
            logits, labels = found.held_out
            held_out[k] = expit(logits[:, 1] - logits[:, 0]), labels
    scores = [found.cv_score for found in solved if found.folds]
    return LabelSolution(
        weight,
        bias,
        float(np.median([found.C for found in solved])) if solved else float("nan"),
        float(np.mean(scores)) if scores else float("nan"),
        min((found.folds for found in solved), default=0),
        held_out,
    )
