"""Scores by the kind of the target: a classifier for classes and for each label of a set, a regressor for values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from headstart.contracts.baseline import Labelled
from headstart.contracts.target_kinds import CLASS_IDS, LABEL_SETS, VALUES
from headstart.contracts.task import BoundTask

TARGET = "label"
"""The target of tasks with one class, value or set of labels per example."""

LEAST = -30.0
"""Log probability of a class that no training example has, and the least of any."""

Classify = Callable[[Any, np.ndarray, np.ndarray | None], Any]
"""Fits a classifier of scikit-learn on features, classes (examples,) and weights (examples,)."""

Regress = Callable[[Any, np.ndarray], Any]
"""Fits a regressor of scikit-learn on features and values (examples,)."""


def takes(task: BoundTask) -> bool:
    """Return whether the task has one class, value or set of labels per example."""
    return set(task.target_kinds) == {TARGET} and task.target_kinds[TARGET] in (CLASS_IDS, LABEL_SETS, VALUES)


def fit_scores(features: Any, data: Labelled, classify: Classify, regress: Regress) -> Callable[[Any], np.ndarray]:
    """Return the function from features to scores (examples, outputs) that is learnt from features of `data`."""
    truth = data.targets[TARGET]
    if truth.dtype.kind in "iu":
        return _log_probabilities(_classifier(classify, features, truth, data.weights), data.outputs)
    if truth.ndim == 1:
        model = regress(features, truth)
        return lambda x: model.predict(x).reshape(-1, 1)
    labels = (truth > 0).T.astype(int)
    each = [_log_probabilities(_classifier(classify, features, label, None), 2) for label in labels]
    return lambda x: np.stack([np.subtract(*score(x).T[::-1]) for score in each], axis=1)


def _classifier(classify: Classify, features: Any, truth: np.ndarray, weights: np.ndarray | None) -> Any:
    if len(np.unique(truth)) == 1:
        return DummyClassifier().fit(features, truth)
    return classify(features, truth, weights)


def _log_probabilities(model: Any, outputs: int) -> Callable[[Any], np.ndarray]:
    def scores(x: Any) -> np.ndarray:
        found = np.full((x.shape[0], outputs), LEAST)
        with np.errstate(divide="ignore"):
            found[:, model.classes_] = np.maximum(np.log(model.predict_proba(x)), LEAST)
        return found

    return scores
