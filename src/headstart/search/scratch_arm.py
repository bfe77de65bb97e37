"""Training from scratch: the backbone's own architecture from random weights, and a small network beside it.

A large architecture needs more labels and more time than there often are; a small one learns from few examples in
seconds. Both are trained, and the one that is better on validation is the baseline. What is claimed over it is an upper
bound where the larger one was cut short, whichever is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from headstart.contracts.backbone import FROM, Backbone
from headstart.contracts.figures import info_of
from headstart.contracts.tuning import Recipe
from headstart.engine.process_group import process_group
from headstart.kernel.errors import TrainingError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.arms import train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.numbers import value_text
from headstart.pipeline.record import SMALL_NETWORK, Decision
from headstart.pipeline.refit import WHAT, with_validation_part
from headstart.pipeline.trained import Arms, Trained
from headstart.pipeline.training import require_whole
from headstart.search.pricing import FORWARDS_AND_BACKWARDS
from headstart.search.scratch_length import judged_in_full, scratch_length

SHARE = 0.25
"""Of what a budget leaves when the probe is done, for training from scratch."""

SMALL_SHARE = 0.5
"""Of that, for the small network at most."""

SMALL_LEAST = 1.0
"""Seconds below which it is not begun."""

SCRATCH = "training from scratch"

FEWEST_STEPS = 8
"""Of a training at one rate that is worth beginning, those that measure it included."""

SMALL_STEPS = 1200
"""Steps of the small network, within the epochs that follow."""
SMALL_EPOCHS = (5, 100)
SMALL_RATES = (5.0,)
LARGE_BATCH, MANY = 128, 10_000
"""Its batch where there are so many examples."""


def why_none(context: FitContext) -> str:
    """Reason why a fit has no training from scratch; empty where it has one."""
    if not context.plan.scratch:
        return "--no-scratch was given"
    if context.target is not None:
        return "the model is for a target of which no labels are known, to judge it by"
    if context.tuning.start == "random":
        return "the model itself is trained from scratch"
    if not any(True for _ in context.backbone.module.parameters()):
        return "the backbone has no weights"
    if not len(context.data.split.val):
        return "there is no validation part to choose its learning rate on"
    return ""


def scratch_in_steps(arms: Arms, operations: float) -> Arms:
    """With the baseline, for as long as its recipes say; `operations` as for `scratch_length`."""
    context = arms.context
    length = scratch_length(context, context.scratch_recipe(), arms.trained[0].progress, operations)
    context.log.add(length.decision(f"length of {SCRATCH}"))
    return _with_scratch(arms, length.recipe)


def scratch_in_time(arms: Arms, forward: float) -> Arms:
    """With the baseline in what is left of the budget; an input goes through the backbone in `forward` seconds."""
    context, left = arms.context, arms.context.budget.left()
    recipe, more = with_enough_epochs(context.scratch_recipe(), len(context.read.split.train))
    reason = f"what is left of the budget, by the clock; {SHARE:.0%} of what the probe left was kept for it"
    context.log.add(Decision(what=f"time for {SCRATCH}", value=f"{left:.0f} s", reason=reason), more)
    return _with_scratch(arms, recipe, least_seconds(context, recipe, forward))


@dataclass(frozen=True)
class _Tried:
    """A training from random weights."""

    context: FitContext
    recipe: Recipe
    title: str
    arm: Trained | None
    why: str = ""
    """Reason why there is none."""


def _with_scratch(arms: Arms, recipe: Recipe, least: float = 0.0) -> Arms:
    """With the better of both networks, or why there is none; `least` is the seconds that the larger one needs.

    Where the model's weights were fit on the validation part too, so are those of the baseline, as far as time allows.
    """
    context, budget = arms.context, arms.context.budget
    with budget.step(SCRATCH, budget.left()):
        small = _small(context)
        share = SMALL_SHARE * budget.left()
        tried = [] if small is None else [_tried(*small, SMALL_NETWORK, "small scratch", share, SMALL_LEAST)]
        own = _tried(
            context, recipe, f"{context.backbone.name.partition(FROM)[0]} from scratch", "scratch", budget.left(), least
        )
        made = [one for one in (own, *tried) if one.arm is not None]
        if not made:
            context.log.add(Decision(what=SCRATCH, value="left out", reason=own.why))
            return arms
        best = max(made, key=_merit)
        arm = _completed(best, own, "val" in arms.trained[0].fit_on)
    if tried:
        outcomes = ", ".join(map(_outcome, (own, *tried)))
        context.log.add(Decision(what=f"network of {SCRATCH}", value=best.title, reason=f"{outcomes}, on validation"))
    told = [one.model_copy(update={"what": f"weights of {SCRATCH}"}) for one in arm.decisions if one.what == WHAT]
    context.log.add(*told)
    return replace(arms, trained=[*arms.trained, arm])


def _tried(context: FitContext, recipe: Recipe, title: str, key: str, left: float, least: float = 0.0) -> _Tried:
    """The training in `left` seconds, or why there is none."""
    if process_group().agreed(left < least):
        why = f"it takes at least about {least:.0f} s, and {left:.0f} s of the budget are left"
        return _Tried(context, recipe, title, None, why)
    try:
        arm = train_arm(context, key, recipe, title, None if math.isinf(left) else left)
        require_whole(arm.progress)
    except TrainingError as error:
        return _Tried(context, recipe, title, None, f"it failed: {error}")
    return _Tried(context, recipe, title, judged_in_full(context, arm, recipe))


def _completed(best: _Tried, own: _Tried, on_both_parts: bool) -> Trained:
    """The arm of the better network, which falls short where the larger one does, whichever it is."""
    if best.arm is None:
        raise TrainingError(best.why)
    arm, left = best.arm, best.context.budget.left()
    if on_both_parts:
        arm = with_validation_part(best.context, arm, best.recipe, None if math.isinf(left) else arm.seconds + left)
    short = f"left out for {own.context.backbone.name} ({own.why})" if own.arm is None else own.arm.shortcoming
    return replace(arm, key="scratch", shortcoming=short or arm.shortcoming)


def _small(context: FitContext) -> tuple[FitContext, Recipe] | None:
    """The fit on a small network in place of the backbone, and its recipe; None where the backbone itself is small."""
    net = context.backbone.small(draw_seed(context.plan.seed, "random weights"))
    if net is None or 2 * _parameters(net) > _parameters(context.backbone):
        return None
    asked, examples = context.scratch_recipe(), len(context.read.split.train)
    batch = asked.batch_size if examples < MANY else LARGE_BATCH
    epochs = min(SMALL_EPOCHS[1], max(SMALL_EPOCHS[0], math.ceil(SMALL_STEPS * batch / examples)))
    better = context.data.task.evaluation.primary.greater_is_better
    keep = "last" if better else "best"  # of few examples the loss turns long before the share that is right does
    own = {"epochs": epochs, "batch_size": batch, "rates_tried": SMALL_RATES, "keep": keep}
    free = {name: value for name, value in own.items() if name not in asked.model_fields_set}
    return replace(context, backbone=net), asked.model_copy(update=free)


def _parameters(backbone: Backbone) -> int:
    return sum(weights.numel() for weights in backbone.module.parameters())


def _on_validation(tried: _Tried) -> float:
    """The primary metric on the validation part."""
    data, arm = tried.context.data, tried.arm
    if arm is None or arm.validation is None:
        return math.nan
    return float(data.task.evaluation.primary.score(data.targets_of(data.split.val), arm.validation))


def _merit(tried: _Tried) -> float:
    """The same, signed so that more is better."""
    found = _on_validation(tried)
    sign = 1 if tried.context.data.task.evaluation.primary.greater_is_better else -1
    return -math.inf if math.isnan(found) else sign * found


def _outcome(tried: _Tried) -> str:
    """'all-MiniLM-L6-v2 from scratch 46.4 % (cut off after 1 of 67 epochs)'."""
    if tried.arm is None:
        return f"{tried.title} left out ({tried.why})"
    metric, short = tried.context.data.task.evaluation.primary, tried.arm.shortcoming
    reached = value_text(info_of(metric).unit, _on_validation(tried))
    return f"{tried.title} {reached}" + (f" ({short})" if short else "")


def least_seconds(context: FitContext, recipe: Recipe, forward: float) -> float:
    """Seconds that some steps and a validation at each rate take about, below which it is not worth beginning."""
    judged, stages = len(context.read.split.val), len(context.backbone.stages)
    inputs = len(recipe.rates_tried) * (FEWEST_STEPS * FORWARDS_AND_BACKWARDS * recipe.batch_size + judged) + judged
    return max(1.0, forward * inputs * (1 - recipe.first_stage(stages) / stages))
