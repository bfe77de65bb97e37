"""Validator: a score of an adapted model that needs no label of the target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings


class Outcome(NamedTuple):
    """A candidate's predictions, and what a validator may know beside them."""

    source: np.ndarray
    """(held-out source examples, classes) probabilities of examples that the candidate was not fit on."""
    labels: np.ndarray
    """(held-out source examples,) int64: their classes."""
    target: np.ndarray
    """(target examples, classes) probabilities."""
    source_features: np.ndarray
    """(held-out source examples, width) float32"""
    target_features: np.ndarray
    """(target examples, width) float32"""
    ratios: np.ndarray
    """(held-out source examples,) density of the target over that of the source, with mean 1."""
    predict: Callable[[np.ndarray], np.ndarray]
    """Features of the target (examples, width) -> probabilities (examples, classes)."""

    @property
    def right(self) -> np.ndarray:
        """Which held-out source examples have the class that is predicted, (held-out source examples,) bool."""
        return np.asarray(self.source.argmax(axis=1) == self.labels)

    @property
    def accuracy(self) -> float:
        """Share of held-out source examples that are right, in [0, 1]; NaN without any."""
        return float(self.right.mean()) if len(self.labels) else float("nan")


@contract("validators")
class Validator(Settings, Complete):
    """The contract of a file in `validators/`."""

    title: ClassVar[str]
    """Its name in tables: 'deep embedded validation'."""

    @abstractmethod
    def score(self, outcome: Outcome, seed: int) -> float:
        """Return the score: more is better, NaN where it is not defined."""
