"""Domains: the kept features of labelled source examples and of target examples whose labels are not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

ShiftKind = Literal["none", "covariate", "label", "concept", "support", "cannot tell"]
"""The kind of a shift from a source to a target, as far as the evidence tells; see `evidence.shift_kind`."""


class LinearHead(NamedTuple):
    """A linear classifier of features."""

    weight: np.ndarray
    """(classes, width)"""
    bias: np.ndarray
    """(classes,)"""

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(examples, width) -> (examples, classes) float64."""
        return features.astype(np.float64) @ self.weight.astype(np.float64).T + self.bias


Solve = Callable[[np.ndarray, np.ndarray, np.ndarray | None], LinearHead]
"""Solves the probe's head from features (examples, width), labels (examples,) and weights (examples,) or None."""


class Domains(NamedTuple):
    """Features of two domains, all float32 and finite, of one backbone."""

    source: np.ndarray
    """(source examples, width)"""
    labels: np.ndarray
    """(source examples,) int64 in [0, classes)"""
    classes: int
    target: np.ndarray
    """(target examples, width); nothing is known of their labels."""
    target_labelled: np.ndarray
    """(few, width): further target examples, whose labels are known; no rows where there are none."""
    target_labels: np.ndarray
    """(few,) int64 in [0, classes)"""
