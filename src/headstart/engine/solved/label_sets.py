"""A logistic regression for each label, all on the same scaled features; see `logistic.py`."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from headstart.contracts.linear_model import Solved
from headstart.engine.solved.logistic import Scalings, solve_logistic


def solve_labels(
    features: np.ndarray, truth: np.ndarray, *, weights: np.ndarray | None, groups: np.ndarray | None, seed: int
) -> Solved:
    """Fit features (examples, width) to truth (examples, labels) of 0 and 1.

    A label that all examples have, or none, gets a constant probability beside 1 or 0, as that of one more example.

    Args:
        features: finite floats.
        truth: which labels each example has; one at least must differ between examples.
        weights: (examples,) of the losses; None for 1 each.
        groups: (examples,) what is held out together.
        seed: of the folds.

    `solve_head` says what is chosen.
    """
    scalings, n = Scalings(features, weights), len(truth)
    weight, bias = np.zeros((truth.shape[1], features.shape[1])), np.zeros(truth.shape[1])
    solved = []
    held_out: list[tuple[np.ndarray, ...]] = [(np.empty(0), np.empty(0))] * truth.shape[1]
    for k, column in enumerate(truth.astype(np.int64).T):
        if column.min() == column.max():
            bias[k] = np.log(n) if column[0] else -np.log(n)
            continue
        found = solve_logistic(scalings, column, 2, weights=weights, groups=groups, seed=seed)
        weight[k], bias[k] = found.weight[1] - found.weight[0], found.bias[1] - found.bias[0]
        solved.append(found)
        if found.held_out is not None:
            logits, *known = found.held_out
            held_out[k] = expit(logits[:, 1] - logits[:, 0]), *known
    scores = [found.cv_score for found in solved if found.folds]
    chosen = {
        "C": float(np.median([found.C for found in solved])) if solved else float("nan"),
        "cv_score": float(np.mean(scores)) if scores else float("nan"),
        "folds": min((found.folds for found in solved), default=0),
    }
    return weight, bias, chosen, held_out
