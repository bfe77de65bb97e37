"""Training by steps once more on training and validation part, when nothing is left to be chosen on validation.

Of few labels a validation part takes many. What was trained on the training part is calibrated and judged as ever, and
then trained once more, by the same recipe, on both parts. Calibration, history and test-time views stay those of the
first training, as they must: on examples that were trained on, a model looks surer than it is. Heads that are solved
for need no first training: see `arms.solve_arm`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from headstart.contracts.tuning import Recipe
from headstart.kernel.errors import TrainingError
from headstart.pipeline.arms import scaled, train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import Decision
from headstart.pipeline.trained import Trained, Weights, weights_of

WHAT = "the weights"
WHY = "nothing is left to be chosen on validation, so that its labels serve as well"
AS_THE_MODEL = "as the model's weights were fit on both, for as many epochs as were best on validation"


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


def with_validation_part(context: FitContext, first: Trained, tuning: Recipe, budget: float | None) -> Trained:
    """A baseline from random weights, trained once more beside a model whose weights were fit on validation too.

    It has the rate and the number of epochs that were best on validation, and no more steps than the recipe allows.
    `budget` is the seconds that both trainings may take; None for no limit.
    """
    epochs, made = int(first.chosen["best_epoch"]), int(first.chosen["epochs"])
    left = None if budget is None else budget - first.seconds
    seconds = first.seconds * epochs / made / len(tuning.rates_tried) / _first_share(context)
    if left is not None and seconds > left:
        return not_refitted(first, f"takes about {seconds:.0f} s, and {left:.0f} s are left")
    last = {"keep": "last", "soup": False, "interpolate": False, "epochs": epochs}
    recipe = tuning.model_copy(update=last)
    return refitted(context, first, recipe, left, weights_of(context.backbone), AS_THE_MODEL)


def refitted(
    context: FitContext, first: Trained, tuning: Recipe, budget: float | None, start: Weights, why: str = WHY
) -> Trained:
    """An arm with the weights of a training on training and validation part together.

    Args:
        context: data and backbone that `first` was trained on.
        first: the arm, whose weights are in the backbone; it stays as it is where the second training fails.
        tuning: its recipe. budget: seconds; None for no limit.
        start: the backbone's weights before the first training.
        why: it is trained once more.
    """
    module, found = context.backbone.module, weights_of(context.backbone)
    module.load_state_dict(start)
    again, fault = _again(context, first, tuning, budget)
    if again is None:
        module.load_state_dict(found)
        return not_refitted(first, fault)
    model = replace(again.model, calibration=first.model.calibration, execution=first.model.execution)
    told = Decision(what=WHAT, value="trained once more, on training and validation part", reason=why)
    seconds, decisions = first.seconds + again.seconds, (*first.decisions, told)
    return replace(first, model=model, seconds=seconds, decisions=decisions, fit_on=("train", "val"))


def not_refitted(first: Trained, why: str) -> Trained:
    """The arm as it is, and why: what training once more does, as 'failed: the loss is not finite'."""
    told = Decision(what=WHAT, value="of the training part alone", reason=f"training once more {why}")
    return replace(first, decisions=(*first.decisions, told))


def _again(context: FitContext, first: Trained, tuning: Recipe, budget: float | None) -> tuple[Trained | None, str]:
    factor = float(first.chosen["learning_rate"]) / tuning.learning_rate
    recipe = scaled(tuning, factor).model_copy(update={"rates_tried": (1.0,)})
    try:
        key = "refit" if first.key == "model" else f"{first.key} refit"
        found = train_arm(_on_all(context), key, recipe, first.title, budget)
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
