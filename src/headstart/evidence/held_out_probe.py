"""The cross-validated linear probe: every example predicted by a head that was solved without its fold.

`held_out_prediction` chooses regularisation and calibration within the rest of each fold. `quick_prediction` does so
once on all examples, several times as fast; nothing but these few numbers leaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from headstart.contracts.baseline import FromScores
from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import BoundTask, ClosedForm
from headstart.engine.solved.logistic import Scalings, out_of_fold
from headstart.engine.solved.solve import solve_head
from headstart.evidence.folds import Fold
from headstart.kernel.errors import DataError

Learn = Callable[[np.ndarray, np.ndarray], Prediction]
"""Rows to learn from and rows to predict -> finished predictions."""


RANK = 384
"""Principal components that a quick prediction rests on at most."""


def held_out_prediction(
    task: BoundTask, features: np.ndarray, targets: Targets, folds: Sequence[Fold], groups: np.ndarray | None, seed: int
) -> Prediction:
    """Return the calibrated predictions of all examples, each by a head that has not seen its fold.

    `folds` are of all examples; the others, such as features (examples, width), and errors are as for `probe_learner`.
    """
    learn = probe_learner(task, features, targets, groups, seed)
    parts = [learn(fold.rest, fold.held) for fold in folds]
    return Prediction.join(parts).take(np.argsort(np.concatenate([fold.held for fold in folds])))


def probe_learner(
    task: BoundTask, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
) -> Learn:
    """Return how to solve for a head on some rows and to predict others, calibrated.

    Regularisation and calibration are chosen within the rows that are learnt from, as by a fit.

    Args:
        task: reads pooled features and has a closed form.
        features: (examples, width) float32.
        targets: of the examples.
        groups: (examples,) what is held out together when regularisation is chosen; None for single examples.
        seed: of folds and draws.

    Raises:
        DataError: the task has no closed form.
    """
    linear = task.linear()
    if not isinstance(linear, ClosedForm):
        raise DataError(f"the head of the task {type(task).__name__} cannot be solved for")

    def learn(rows: np.ndarray, asked: np.ndarray) -> Prediction:
        known = {name: values[rows] for name, values in targets.items()}
        head, chosen = solve_head(linear, features[rows], known, None if groups is None else groups[rows], seed)
        calibration = {name: chosen[name] for name in linear.evaluation.limits if name in chosen}
        with torch.no_grad():
            found = linear.predict(head.eval(), Features(torch.from_numpy(features[asked])), {})
        return linear.evaluation.finish(found, calibration)

    return learn


def quick_prediction(
    task: BoundTask, features: np.ndarray, targets: Targets, folds: Sequence[Fold], groups: np.ndarray | None, seed: int
) -> Prediction:
    """Return the same from features (examples, width), their first `RANK` components, with choices made once."""
    linear = task.linear() if isinstance(task, ClosedForm) else None
    model = linear.linear_model(targets, seed) if isinstance(linear, ClosedForm) else None
    known = model is not None and model.family in ("categorical", "bernoulli") and model.rows is None
    if model is None or not known or not isinstance(linear, FromScores):
        return held_out_prediction(task, features, targets, folds, groups, seed)
    scalings = Scalings(features, model.weights, RANK)

    def scores(labels: np.ndarray, classes: int) -> np.ndarray:
        return out_of_fold(scalings, labels, classes, folds, weights=model.weights, groups=groups, seed=seed)

    if model.family == "categorical":
        found = scores(model.targets, linear.outputs)
    else:
        found = np.stack([_log_odds(column, folds, scores) for column in model.targets.T.astype(np.int64)], axis=1)
    return linear.evaluation.finish(linear.from_scores(found, {}), {})


def _log_odds(truth: np.ndarray, folds: Sequence[Fold], scores: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """(examples,) log odds of a label; of its prevalence where the folds have too few with or without it."""
    positive = int(truth.sum())
    few = min(positive, len(truth) - positive) < len(folds)
    if few or any(np.ptp(truth[fold.rest]) == 0 for fold in folds):
        return np.full(len(truth), np.log((positive + 0.5) / (len(truth) - positive + 0.5)))
    found = scores(truth, 2)
    return np.asarray(found[:, 1] - found[:, 0])
