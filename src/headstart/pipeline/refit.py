"""Training once more on all that are labelled, when nothing is left to be chosen on validation.

Of few labels a validation part takes many. Where it chooses nothing but the calibration, `refit` gives its labels to
the weights too: what was trained on the training part is calibrated and judged as ever, and then trained once more, by
the same recipe, on training and validation part together. Calibration, history and test-time views stay those of the
first training, as they must: on examples that were trained on, a model looks surer than it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from headstart.contracts.task_capabilities import ClosedForm
from headstart.contracts.tuning import Recipe
from headstart.kernel.errors import TrainingError
from headstart.pipeline.arms import Trained, Weights, model_with, scaled, solved, train_arm, weights_of
from headstart.pipeline.context import FitContext
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import Decision

WHAT = "the weights"
WHY = "nothing is left to be chosen on validation, so that its labels serve as well"


def solved_again(context: FitContext, probe: Trained) -> Trained:
    """The solved arm once more on training and validation part, with the calibration that it has.

    For when nothing is left to be chosen on validation: few labels are then all used.
    """
    task, split = probe.model.task, context.read.split
    if not len(split.val) or not isinstance(task, ClosedForm):
        return probe
    head, chosen = solved(context, task, np.union1d(split.train, split.val))
    model = model_with(context, context.backbone, head, task)
    model.calibration = probe.model.calibration
    decision = Decision(what="the head", value="solved on training and validation part", reason=WHY)
    return replace(probe, model=model.eval(), chosen={**probe.chosen, **chosen}, decisions=(decision,))


def trained_and_refitted(
    context: FitContext, tuning: Any, title: str, budget: float | None, probe: Trained | None = None
) -> Trained:
    """The model of a recipe, on all that are labelled where its `refit` says so; for the rest as `train_arm`."""
    if not tuning.refit:
        return train_arm(context, "model", tuning, title, budget, probe)
    start = weights_of(context.backbone)
    first = train_arm(
        context, "model", tuning, title, None if budget is None else budget * _first_share(context), probe
    )
    return refitted(context, first, tuning, None if budget is None else max(0.0, budget - first.seconds), start)


def refitted(context: FitContext, first: Trained, tuning: Recipe, budget: float | None, start: Weights) -> Trained:
    """An arm with the weights of a training on training and validation part together.

    Args:
        context: data and backbone that `first` was trained on.
        first: the arm, whose weights are in the backbone; it stays as it is where the second training fails.
        tuning: its recipe. budget: seconds; None is no limit.
        start: the backbone's weights before the first training.
    """
    module, found = context.backbone.module, weights_of(context.backbone)
    module.load_state_dict(start)
    again, why = _again(context, first, tuning, budget)
    if again is None:
        module.load_state_dict(found)
        return not_refitted(first, why)
    model = replace(again.model, calibration=first.model.calibration, execution=first.model.execution)
    told = Decision(what=WHAT, value="trained once more, on training and validation part", reason=WHY)
    return replace(first, model=model, seconds=first.seconds + again.seconds, decisions=(*first.decisions, told))


def not_refitted(first: Trained, why: str) -> Trained:
    """The arm as it is, and why: what training once more does, as 'failed: the loss is not finite'."""
    told = Decision(what=WHAT, value="of the training part alone", reason=f"training once more {why}")
    return replace(first, decisions=(*first.decisions, told))


def _again(context: FitContext, first: Trained, tuning: Recipe, budget: float | None) -> tuple[Trained | None, str]:
    factor = float(first.chosen["learning_rate"]) / tuning.learning_rate
    recipe = scaled(tuning, factor).model_copy(update={"rates_tried": (1.0,)})
    try:
        found = train_arm(_on_all(context), "refit", recipe, first.title, budget)
    except TrainingError as error:
        return None, f"failed: {error}"
    broken_off = found.progress is not None and found.progress.broken_off
    return (None, "was broken off") if broken_off else (found, "")


def _on_all(context: FitContext) -> FitContext:
    windows = None if context.windows is None else _all_of(context.windows)
    return replace(context, data=_all_of(context.data), windows=windows)


def _all_of(data: Prepared) -> Prepared:
    split = data.split
    return replace(data, split=replace(split, train=np.union1d(split.train, split.val)))


def _first_share(context: FitContext) -> float:
    """Of the time, for the training part alone: in proportion to its examples."""
    split = context.read.split
    return len(split.train) / (2 * len(split.train) + len(split.val))
