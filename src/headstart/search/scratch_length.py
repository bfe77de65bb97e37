"""The length of training from scratch where no budget was given: steps, by a rule that no clock takes part in.

At each of its learning rates the baseline trains for its recipe's epochs: 60, or more over few examples. Over many, or
with a large backbone, that could take days. So all rates together may cost `OPERATIONS` floating-point operations, some
minutes on a usual machine, and each `MOST_STEPS` steps. It never gets fewer steps than the model itself made, nor than
`FEWEST_STEPS`. The operations of a pass are counted on a few inputs and do not depend on the machine's speed, so that
the same command trains for the same number of steps, also when it was interrupted or the machine was busy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from headstart.contracts.tuning import Recipe
from headstart.engine.device import pick_device
from headstart.engine.training.checkpoint import NOTHING_BETTER, Progress
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import enough_epochs, with_enough_epochs
from headstart.pipeline.record import Decision
from headstart.pipeline.time_estimates import operations_each
from headstart.pipeline.trained import Trained
from headstart.search.pricing import FORWARDS_AND_BACKWARDS

OPERATIONS = {"cpu": 6e13, "cuda": 6e15}
"""Floating-point operations of the baseline, all its learning rates together, by the kind of device."""

MOST_STEPS = 3000
"""Of the baseline at each learning rate, where the model itself made fewer: steps of a small net cost time too."""

FEWEST_STEPS = 8
"""Of a training at one learning rate."""

USUAL_EPOCHS = 60
"""At least so many are whole however few the examples are, where a user gave their number."""

RISING = 0.05
"""Share of all that was gained on validation, beyond which the last epochs show that more of them would have helped."""

LEARNT = 0.01
"""Share of the loss and of the metric after the first epoch, by less than which a training has learnt nothing."""


@dataclass(frozen=True)
class Length:
    """Length of the baseline's training."""

    recipe: Recipe
    """With its epochs, and the most steps where they are cut."""
    steps: int
    """At each learning rate, unless patience ends it."""
    reason: str

    def decision(self, what: str) -> Decision:
        """For the plan and the report."""
        rates = len(self.recipe.rates_tried)
        value = f"at most {self.steps} steps" + (f" at each of {rates} learning rates" if rates > 1 else "")
        return Decision(what=what, value=value, reason=f"{self.reason}; no clock decides it, and --budget would")


def scratch_length(context: FitContext, recipe: Recipe, model: Progress | None, operations: float) -> Length:
    """The recipe of the baseline with its length.

    Args:
        context: data and backbone.
        recipe: as the settings have it; an `epochs` or `max_steps` that the user gave is kept.
        model: the course of the model that it stands beside; None where that was solved.
        operations: of a forward pass for one input, see `count_operations`.
    """
    examples = len(context.read.split.train)
    steps_per_epoch = -(-examples // recipe.batch_size)
    given = {"epochs", "max_steps"} & recipe.model_fields_set
    recipe, _ = with_enough_epochs(recipe, examples)
    wanted = recipe.epochs * steps_per_epoch
    if given:
        wanted = min(wanted, recipe.max_steps or wanted)
        return Length(recipe, wanted, f"scratch.{min(given)} was given")
    made = 0 if model is None else model.made()
    affordable = _affordable_steps(context, recipe, steps_per_epoch, operations)
    if made >= min(wanted, affordable):
        epochs = math.ceil(made / steps_per_epoch)
        recipe = recipe.model_copy(update={"epochs": epochs})
        return Length(recipe, epochs * steps_per_epoch, f"as many epochs as hold the {made} steps that the model made")
    if wanted <= affordable:
        return Length(recipe, wanted, f"{recipe.epochs} epochs of {steps_per_epoch} steps")
    why = f"{recipe.epochs} epochs would be {wanted} steps, which could take hours; --set scratch.epochs asks for them"
    return Length(recipe.model_copy(update={"max_steps": affordable}), affordable, why)


def judged_in_full(context: FitContext, arm: Trained, recipe: Recipe) -> Trained:
    """The baseline with how many epochs were planned, and why it may fall short of what it can reach."""
    if arm.progress is None:
        return arm
    usual = min(USUAL_EPOCHS, enough_epochs(len(context.read.split.train), recipe.batch_size))
    planned = max(recipe.epochs, usual)
    better = context.data.task.evaluation.primary.greater_is_better
    why = _shortcoming(better, arm.progress, planned, 0.5 / math.sqrt(len(context.data.split.val)))
    return replace(arm, shortcoming=why, chosen={**arm.chosen, "epochs_planned": planned})


def _shortcoming(more_is_better: bool, progress: Progress, planned: int, noise: float) -> str:
    """Reason; empty where a training ended by itself.

    A budget or a limit cut it off, it was given fewer epochs than it needs, it learnt nothing, or was still improving.
    """
    patient = progress.stopped.startswith(NOTHING_BETTER)
    if progress.cut_off or (progress.epoch < planned and not patient):
        return f"cut off after {progress.cut_off or f'{progress.epoch} of {planned} epochs'}"
    sign = 1.0 if more_is_better else -1.0
    curves = [sign * epoch.val_metric for epoch in progress.history], [-epoch.val_loss for epoch in progress.history]
    if all(max(curve) - curve[0] <= LEARNT * abs(curve[0]) for curve in curves):
        return f"no better after {progress.epoch} epochs than after the first"
    rates = [epoch.learning_rate for epoch in progress.history]
    improving = not patient and any(map(still_rises, curves, (rates, rates), (noise, 0.0)))
    return f"still improving after {progress.epoch} epochs" if improving else ""


def still_rises(curve: Sequence[float], rates: Sequence[float], noise: float = 0.0) -> bool:
    """Return whether the last fifth of a training still added more than `RISING` of all that was gained.

    Fifths are those of the sum of the learning rates: every curve is flat where the rate has fallen to 0.

    Args:
        curve: (epochs,) what was reached after each, more being better. rates: (epochs,) their learning rates.
        noise: what may be chance.
    """
    if len(curve) < 2:
        return True
    done = np.cumsum(rates) / np.sum(rates)
    last = min(max(1, int(np.searchsorted(done, 0.8))), len(curve) - 1)
    before = min(int(np.searchsorted(done, 0.6)), last - 1)
    return fmean(curve[last:]) - fmean(curve[before:last]) > max(noise, RISING * (max(curve) - curve[0]))


def _affordable_steps(context: FitContext, recipe: Recipe, steps_per_epoch: int, operations: float) -> int:
    """Return how many steps at each learning rate keep within `OPERATIONS` and `MOST_STEPS`, validation included."""
    inputs = FORWARDS_AND_BACKWARDS * recipe.batch_size + len(context.read.split.val) / steps_per_epoch
    step = operations * inputs
    allowed = OPERATIONS.get(pick_device().type, OPERATIONS["cpu"]) / len(recipe.rates_tried)
    return min(MOST_STEPS, max(FEWEST_STEPS, int(allowed / step))) if step else MOST_STEPS


def count_operations(context: FitContext) -> float:
    """Floating-point operations of a forward pass through the whole backbone, for one input."""
    return operations_each(context.backbone, context.read.examples, context.features.rows)
