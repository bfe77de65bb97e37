"""Boosting: gradient boosted trees on histograms of columns (Friedman 2001; Ke et al. 2017).

Gaps and categories are split on as they are. Trees are added until a tenth of the training examples, held out, stops
improving.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from headstart.baselines._scores import fit_scores, takes
from headstart.contracts.baseline import Baseline, FromScores, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasNumbers, Modality, modality_named, raws_of
from headstart.contracts.task import BoundTask
from headstart.numerics.table_encoding import Row, learn

LARGEST_LEAF = 20
"""Examples that a leaf has at least; fewer where there are fewer than 200 in all."""
FEWEST_STOPPED = 1000
"""Examples from which some are held out to stop by."""
FEWEST_STEPS, MOST_TREES = 10, 2000
"""Of a classifier of several classes."""

MOST_CLASSES = 200
"""Trees are grown for each class: of 1,500 classes for minutes."""


class Boosting(Baseline):
    """Gradient boosted trees."""

    title: ClassVar[str] = "gradient boosted trees"
    strengths: ClassVar[Sequence[float]] = (0.1, 0.03)
    """Learning rates."""

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Rows of numbers with one class, value or set of labels each, and no more than `MOST_CLASSES`."""
        few = not isinstance(task, FromScores) or task.outputs <= MOST_CLASSES
        return isinstance(modality, HasNumbers) and takes(task) and few

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Grow trees at each of the learning rates."""
        return {rate: _grown(data, rate, seed) for rate in strengths}


def _grown(data: Labelled, rate: float, seed: int) -> Scores:
    rows, numbers = len(data.examples), _rows(data.examples)
    encoding = learn(numbers)
    leaf = max(1, min(LARGEST_LEAF, rows // 10))
    how: dict[str, Any] = {"learning_rate": rate, "min_samples_leaf": leaf, "random_state": seed}
    if encoding.categorical.any():
        how["categorical_features"] = encoding.categorical

    def classify(x: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> HistGradientBoostingClassifier:
        counts = np.unique(truth, return_counts=True)[1]
        stops = rows >= FEWEST_STOPPED and counts.min() >= 2 and rows >= 10 * len(counts)
        grown = HistGradientBoostingClassifier(**how, early_stopping=stops)
        if len(counts) > 2:  # each step grows a tree for every class
            grown.set_params(max_iter=max(FEWEST_STEPS, min(100, MOST_TREES // len(counts))))
        with warnings.catch_warnings():  # scikit-learn takes many classes for numbers
            warnings.simplefilter("ignore", UserWarning)
            return grown.fit(x, truth, weights)

    def regress(x: np.ndarray, values: np.ndarray) -> HistGradientBoostingRegressor:
        return HistGradientBoostingRegressor(**how, early_stopping=rows >= FEWEST_STOPPED).fit(x, values)

    scores = fit_scores(encoding.codes(numbers), data, classify, regress)
    return lambda examples, _: scores(encoding.codes(_rows(examples)))


def _rows(examples: Examples) -> Sequence[Row]:
    kind = modality_named(examples.schema.modality)
    if not isinstance(kind, HasNumbers):
        raise TypeError(f"{examples.schema.modality} inputs are not rows of a table")
    return kind.rows(raws_of(examples))
