"""Majority: the same scores for every example, from how often classes and labels occur, or the mean of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor

from headstart.baselines._scores import fit_scores, takes
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import Modality
from headstart.contracts.task import BoundTask


class Majority(Baseline):
    """The majority class, or the mean."""

    title: ClassVar[str] = "the same prediction for every example"
    informed: ClassVar[bool] = False

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:  # noqa: ARG003
        """Any inputs with one class, value or set of labels each."""
        return takes(task)

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:  # noqa: ARG002
        """Count."""
        scores = fit_scores(_nothing(data.examples), data, _frequencies, _mean)
        return dict.fromkeys(strengths, lambda examples, _: scores(_nothing(examples)))


def _frequencies(x: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> Any:
    return DummyClassifier(strategy="prior").fit(x, truth, weights)


def _mean(x: np.ndarray, values: np.ndarray) -> Any:
    return DummyRegressor().fit(x, values)


def _nothing(examples: Examples) -> np.ndarray:
    return np.zeros((len(examples), 1))
