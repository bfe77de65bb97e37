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


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """For the probabilities of one label and whether each example has it, both (examples,); in (0, 1)."""
    positives = int(truth.sum())
    if min(positives, len(truth) - positives) < FEWEST:
        return PLAIN
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    taken = np.flatnonzero(np.append(ranked[:-1] > ranked[1:], True)) + 1  # how many may lie above a threshold
    f1 = 2 * np.cumsum(truth[order])[taken - 1] / (taken + positives)
    most = int(taken[f1.argmax()])
    below = ranked[most] if most < len(ranked) else 0.0
    return float(np.clip((ranked[most - 1] + below) / 2, LOWEST, 1 - LOWEST))
