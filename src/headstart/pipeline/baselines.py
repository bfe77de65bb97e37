"""Baselines: classical models that learn from the same rows in seconds, for the verdict to hold the model against.

Regularisation is chosen and predictions are calibrated on the validation part; then the baseline learns from training
and validation part together, so that it is as strong as the labels allow.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headstart.contracts.baseline import Baseline, FromScores, Labelled
from headstart.contracts.modality import modality_named
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask, Calibration, Targets
from headstart.contracts.task_capabilities import ClosedForm, SeveralTasks, one_class_each
from headstart.kernel import registry
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.one_task import of_task
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import CLASSICAL, CONSTANT

LARGEST = 5_000_000
"""Training examples times classes beyond which a classical model would take minutes, and is left out."""

MOST_COMPARED = 10_000
"""Training examples that settings are compared on, at most."""


@dataclass(frozen=True)
class BaselineArm:
    """A baseline that has learnt and predicted."""

    key: str
    title: str
    seconds: float
    chosen: Mapping[str, float]
    prediction: Prediction
    """Calibrated, for the test part."""


class _Choice(NamedTuple):
    baseline: Baseline
    strength: float
    cost: float
    calibration: Calibration


def fit_baselines(data: Prepared, seed: int) -> tuple[BaselineArm, ...]:
    """Fit the best classical model for these inputs, and the constant prediction; nothing where none suits."""
    if isinstance(data.task, SeveralTasks):
        return _of_each_task(data, data.task, seed)
    if not isinstance(data.task, FromScores):
        return ()
    modality = modality_named(data.examples.schema.modality)
    kinds = (registry.plugin("baselines", name) for name in registry.names("baselines"))
    suited = [kind() for kind in kinds if kind.suits(modality, data.task)]
    if data.task.outputs * len(data.split.train) > LARGEST:
        suited = [baseline for baseline in suited if not baseline.informed]
    arms = []
    for key, informed in ((CLASSICAL, True), (CONSTANT, False)):
        if some := [baseline for baseline in suited if baseline.informed == informed]:
            arms.append(_arm(key, some, data, draw_seed(seed, "baselines") % 2**32))
    return tuple(arms)


def _of_each_task(data: Prepared, task: SeveralTasks, seed: int) -> tuple[BaselineArm, ...]:
    """The baselines of each task, joined; those that all tasks have."""
    each = {name: {arm.key: arm for arm in fit_baselines(of_task(data, name), seed)} for name in task.tasks}
    found = []
    for key in (CLASSICAL, CONSTANT):
        own = {name: arms[key] for name, arms in each.items() if key in arms}
        if len(own) < len(each):
            continue
        title = " and ".join(dict.fromkeys(arm.title for arm in own.values()))
        title = title if key == CLASSICAL else "a constant answer to each task"
        chosen = {f"{name}.{setting}": value for name, arm in own.items() for setting, value in arm.chosen.items()}
        prediction = task.joined({name: arm.prediction for name, arm in own.items()})
        found.append(BaselineArm(key, title, sum(arm.seconds for arm in own.values()), chosen, prediction))
    return tuple(found)


def _arm(key: str, baselines: list[Baseline], data: Prepared, seed: int) -> BaselineArm:
    started = time.monotonic()
    best = min((_chosen(baseline, data, seed) for baseline in baselines), key=lambda choice: choice.cost)
    everything = np.concatenate([data.split.train, data.split.val])
    prediction = _predictions(best.baseline, data, everything, (best.strength,), data.split.test, seed)[best.strength]
    finished = data.task.evaluation.finish(prediction, best.calibration)
    settings = {"strength": best.strength} if len(best.baseline.strengths) > 1 else {}
    chosen = {**settings, **best.calibration}
    title = best.baseline.title if key == CLASSICAL else _always(data, finished) or best.baseline.title
    return BaselineArm(key, title, time.monotonic() - started, chosen, finished)


def _always(data: Prepared, prediction: Prediction) -> str:
    """ "always answering 'ham'", where each example gets the same class; else ''."""
    answers = presentation_of(data.task).columns(prediction).get("prediction", np.zeros(0))
    if not one_class_each(data.task) or len(set(answers.tolist())) != 1:
        return ""
    return f"always answering '{answers[0]}'"


def _chosen(baseline: Baseline, data: Prepared, seed: int) -> _Choice:
    """The strength with the best primary metric on the validation part, and the calibration."""
    rows, val = data.split.train, data.split.val
    if not len(val):
        return _Choice(baseline, baseline.strengths[0], 0.0, {})
    if len(rows) > MOST_COMPARED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_COMPARED, replace=False))
    evaluation, truth = data.task.evaluation, data.targets_of(val)
    sign = -1.0 if evaluation.primary.greater_is_better else 1.0
    found = _predictions(baseline, data, rows, tuple(baseline.strengths), val, seed)
    finished = {strength: evaluation.finish(prediction, {}) for strength, prediction in found.items()}
    scores = {strength: evaluation.primary.score(truth, prediction) for strength, prediction in finished.items()}
    costs = {strength: math.inf if math.isnan(score) else sign * score for strength, score in scores.items()}
    best = min(costs, key=lambda strength: costs[strength])
    return _Choice(baseline, best, costs[best], evaluation.calibrate(finished[best], truth))


def _predictions(
    baseline: Baseline, data: Prepared, rows: np.ndarray, strengths: tuple[float, ...], asked: np.ndarray, seed: int
) -> dict[float, Prediction]:
    """Predictions for the rows `asked` of a baseline that learns from `rows`, by strength; not calibrated."""
    task, targets, known, unseen = data.task, data.targets_of(rows), data.examples.take(rows), data.examples.take(asked)
    if not isinstance(task, FromScores):
        raise TypeError(f"{type(task).__name__} makes no predictions from scores")
    labelled = Labelled(known, targets, task.inputs(known), task.outputs, _weights(task, targets, seed))
    fitted, inputs = baseline.fit(labelled, strengths, seed), task.inputs(unseen)
    return {strength: task.from_scores(scores(unseen, inputs), inputs) for strength, scores in fitted.items()}


def _weights(task: BoundTask, targets: Targets, seed: int) -> np.ndarray | None:
    """(examples,) weights where the task weighs classes differently, else None."""
    if not isinstance(task, ClosedForm) or not one_class_each(task):
        return None
    return task.linear_model(targets, seed).weights
