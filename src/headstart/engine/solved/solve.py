"""The linear head of a task, solved for on frozen features: by regularised logistic regression, one for each label of
label sets, or by ridge regression, as the task's `LinearModel` asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from headstart.contracts.features import MapShape
from headstart.contracts.targets import WEIGHT
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import ClosedForm, SeveralTasks
from headstart.engine.solved.label_sets import solve_labels
from headstart.engine.solved.logistic import Scalings, solve_logistic
from headstart.engine.solved.ridge import solve_ridge


def solve_head(
    task: ClosedForm, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
) -> tuple[nn.Module, dict[str, float]]:
    """Return the best linear head on features (samples, width), regularised by cross-validation, and what was chosen.

    Args:
        task: has a linear model of its targets.
        features: finite floats; where the head does not read pooled features, those of `Sampled.samples`.
        targets: of the samples.
        groups: (samples,) what is held out together; None holds out single samples.
        seed: of folds and draws.

    Returns:
        The head, in the form of `linear().head`, and for the report:
        'categorical': {"C", "cv_score", "folds", "scaled_each"}: inverse regularisation on standardised features, mean
        log likelihood of held-out samples, folds (0: too few samples of a class, C is fixed and the score NaN), and 1
        where each feature was scaled by itself, 0 where all were scaled alike.
        'bernoulli': {"C", "cv_score", "folds"}: the median C over labels, the mean score, the fewest folds of a label.
        'normal': {"alpha", "cv_score", "folds"}: the penalty, minus the mean squared error of held-out samples, and
        folds (0: leave one out).
        'several': the same for each task, under 'NAME.' and what it is called there, from the examples with its label.
        Beside them the number of samples, where these are not examples, and the calibration by held-out samples.
    """
    model = task.linear_model(targets, seed)
    if model.family == "several":
        return _each_solved(task, features, targets, groups, seed)
    if model.rows is not None:
        features, groups = features[model.rows], None if groups is None else groups[model.rows]
    head = task.linear().head(_FeaturesOf(features.shape[1]))
    if callable(model.family):
        weight, bias, chosen, held_out = model.family(features, groups, seed)
    elif model.family == "normal":
        weight, bias, chosen, held_out = solve_ridge(features, model.targets, groups, model.weights)
    elif model.family == "bernoulli":
        found = solve_labels(features, model.targets, weights=model.weights, groups=groups, seed=seed)
        weight, bias, chosen, held_out = found
    else:
        classes = len(head.get_parameter("bias"))
        scalings = Scalings(features, targets.get(WEIGHT))
        solved = solve_logistic(scalings, model.targets, classes, weights=model.weights, groups=groups, seed=seed)
        weight, bias, chosen, held_out = solved.as_solved()
    head.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    counted = {model.samples: len(model.targets)} if model.samples else {}
    calibration = {} if model.calibrate is None else model.calibrate(held_out)
    return head, {**chosen, **counted, **calibration}


def _each_solved(
    task: ClosedForm, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
) -> tuple[nn.Module, dict[str, float]]:
    """The heads of several tasks, each solved on the samples with its label."""
    linear = task.linear()
    if not isinstance(linear, SeveralTasks):
        raise TypeError(f"{type(linear).__name__} is not made of several tasks")
    heads, chosen = linear.head(_FeaturesOf(features.shape[1])), dict[str, float]()
    for (name, part), head in zip(linear.tasks.items(), heads.children(), strict=True):
        rows = np.flatnonzero(linear.known(name, targets))
        own = {key: values[rows] for key, values in linear.targets_of(name, targets).items()}
        if not isinstance(part, ClosedForm):
            raise TypeError(f"the head of the task {type(part).__name__} has no closed form")
        solved, found = solve_head(part, features[rows], own, None if groups is None else groups[rows], seed)
        head.load_state_dict(solved.state_dict())
        chosen |= {f"{name}.{key}": value for key, value in found.items()}
    return heads, chosen


@dataclass
class _FeaturesOf:
    """The samples as a source of features, one map of them all where a head reads maps."""

    width: int

    def maps(self) -> tuple[MapShape, ...]:
        return (MapShape(self.width, 1),)
