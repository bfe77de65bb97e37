"""The threshold above which a label is taken, chosen for each label on validation data.

It is the one with the greatest F1 = 2 TP / (2 TP + FP + FN) (Lipton, Elkan & Naryanaswamy 2014, "Optimal thresholding
of classifiers to maximize F1"), half-way between the two probabilities that it parts. 0.5 is best for accuracy, but a
label that a twentieth of the examples have is then hardly ever predicted.
"""

from __future__ import annotations

import numpy as np

PLAIN = 0.5
"""The threshold where none is chosen."""

LOWEST = 1e-6
"""No threshold is nearer to 0 or 1."""

FEWEST = 5
"""Positive examples, and negative ones, below which the plain threshold stays: a choice by fewer is mostly chance."""


def best_threshold(probabilities: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """For the probabilities of one label and whether each example has it, both (examples,); in (0, 1).

    `weights` (examples,) are those of TP, FP and FN; None for 1 each.
    """
    if min(int(truth.sum()), len(truth) - int(truth.sum())) < FEWEST:
        return PLAIN
    weights = np.ones(len(truth)) if weights is None else weights
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    taken = np.flatnonzero(np.append(ranked[:-1] > ranked[1:], True)) + 1  # how many may lie above a threshold
    right, all_taken = np.cumsum((truth * weights)[order]), np.cumsum(weights[order])
    f1 = 2 * right[taken - 1] / (all_taken[taken - 1] + right[-1])
    most = int(taken[f1.argmax()])
    below = ranked[most] if most < len(ranked) else 0.0
    return float(np.clip((ranked[most - 1] + below) / 2, LOWEST, 1 - LOWEST))
