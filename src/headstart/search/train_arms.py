"""The arms of a fit: the probe, which is always there, the model asked for or found, and training from scratch.

A budget is for all of it, from where data and backbone are there to the final model: pass, probe, search and baselines.
Training from scratch gets a quarter of what the probe leaves, and whatever the model does not need. Without a budget no
clock decides anything: see `scratch_length`.
"""

from __future__ import annotations

from dataclasses import replace

from headstart.contracts.task_capabilities import ClosedForm
from headstart.contracts.tuning import Recipe
from headstart.engine.process_group import process_group
from headstart.kernel.errors import TrainingError
from headstart.pipeline.arms import Arms, Trained, solve_arm, train_arm, weights_of
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.record import Decision
from headstart.pipeline.refit import WHAT, trained_and_refitted, with_validation_part
from headstart.pipeline.time_estimates import Speed, speed
from headstart.pipeline.training import require_whole
from headstart.search.floor import better_of, has_floor, told
from headstart.search.pricing import FORWARDS_AND_BACKWARDS
from headstart.search.scratch_length import count_operations, judged_in_full, scratch_length
from headstart.search.search import Search

SCRATCH_SHARE = 0.25
"""Of what a budget leaves when the probe is done, for training from scratch."""

SCRATCH = "training from scratch"

FEWEST_STEPS = 8
"""Of a training at one rate that is worth beginning, those that measure it included."""


def train_arms(context: FitContext) -> Arms:
    """The model asked for first, then the baselines it is held against, and why a baseline is missing."""
    budget, why = context.budget, _why_no_scratch(context)
    refits, searches = context.plan.refits and isinstance(context.read.task, ClosedForm), context.plan.tuning == AUTO
    with budget.step("the probe"):
        baseline = solve_arm(context, "probe", refit=refits)
        # what trains by steps starts from, and is chosen against, a head that has not seen the validation part
        needed = searches or has_floor(context)
        start = baseline if not refits else solve_arm(context, "probe") if needed else None
    timed = budget.seconds is not None
    fast = speed(context) if timed else Speed()
    operations = 0.0 if timed or why else count_operations(context)
    keep = 0.0 if why or not timed else SCRATCH_SHARE * budget.left()
    if searches and start is not None:
        arms = _searched(context, keep, start, baseline, fast)
    elif context.tuning.solved:
        arms = _as_model(Arms(context, []), baseline)
    else:
        arms = _trained(context, keep, start, baseline, fast)
    if why:
        context.log.add(Decision(what=SCRATCH, value="left out", reason=why))
    elif timed:
        least = least_seconds(context, context.plan.scratch_recipe(), fast.plain)
        arms = _scratch_in_time(arms, budget.left(), least)
    else:
        length = scratch_length(context, context.plan.scratch_recipe(), arms.trained[0].progress, operations)
        context.log.add(length.decision(f"length of {SCRATCH}"))
        arms = _with_scratch(arms, length.recipe, None)
    return replace(arms, used=budget.used())


def _searched(context: FitContext, keep: float, probe: Trained, baseline: Trained, fast: Speed) -> Arms:
    with context.budget.step("the search for the best tuning", context.budget.left() - keep):
        found = Search(context, probe, context.budget, keep, fast).run()
    context.log.add(*found.decisions)
    arms = Arms(found.context, [], found.candidates, found.sentence)
    if found.arm is None:
        return _as_model(arms, baseline)
    context.log.add(*found.arm.decisions)
    return replace(arms, trained=[found.arm, baseline])


def _as_model(arms: Arms, probe: Trained) -> Arms:
    """With the probe as the model."""
    arms.context.log.add(*probe.decisions)
    return replace(arms, trained=[replace(probe, key="model")])


def _trained(context: FitContext, keep: float, start: Trained | None, baseline: Trained, fast: Speed) -> Arms:
    name, title = context.plan.tuning, f"{context.plan.tuning} tuning of {context.backbone.name}"
    seconds = None if context.budget.seconds is None else max(0.0, context.budget.left() - keep)
    tuning, more = with_enough_epochs(context.tuning, len(context.read.split.train))
    if has_floor(context) and seconds is not None:
        least = least_seconds(context, tuning, fast.plain)
        if process_group().agreed(seconds < least):
            return _as_model(Arms(context, [], cut_off=_not_begun(context, title, least, seconds)), baseline)
    before = weights_of(context.backbone) if has_floor(context) else {}
    with context.budget.step(f"training ({name})", seconds):
        tuned = trained_and_refitted(context, tuning, title, seconds, start)
    context.log.add(more, *tuned.decisions)
    if start is None or not has_floor(context):
        return told(Arms(context, [tuned, baseline]), tuned)
    return told(better_of(context, tuned, start, baseline, before), tuned)


def _not_begun(context: FitContext, title: str, least: float, seconds: float) -> str:
    """The sentence that a training was not begun, with a decision that says so."""
    why = f"it takes at least about {least:.0f} s, and {seconds:.0f} s of the budget were left for it"
    context.log.add(Decision(what="model", value="probe", reason=f"{title} was not begun: {why}"))
    return f"CUT OFF by the budget: {title} was not begun, as {why}. The model is the frozen probe."


def _scratch_in_time(arms: Arms, left: float, least: float) -> Arms:
    """With the baseline from random weights in what is left of the budget, or why it is left out."""
    context = arms.context
    if left < least:
        why = f"it takes at least about {least:.0f} s, and {left:.0f} s of the budget are left"
        context.log.add(Decision(what=SCRATCH, value="left out", reason=why))
        return arms
    reason = f"what is left of the budget, by the clock; {SCRATCH_SHARE:.0%} of what the probe left was kept for it"
    recipe, more = with_enough_epochs(context.plan.scratch_recipe(), len(context.read.split.train))
    context.log.add(Decision(what=f"time for {SCRATCH}", value=f"{left:.0f} s", reason=reason), more)
    return _with_scratch(arms, recipe, left)


def _with_scratch(arms: Arms, recipe: Recipe, seconds: float | None) -> Arms:
    """With the baseline from random weights, or why it failed; `seconds` is its limit.

    Where the model's weights were fit on the validation part too, so are those of the baseline, as far as time allows.
    """
    context = arms.context
    with context.budget.step(SCRATCH, seconds):
        try:
            baseline = train_arm(context, "scratch", recipe, f"{context.backbone.name} from scratch", seconds)
            require_whole(baseline.progress)
            baseline = judged_in_full(context, baseline, recipe)
            if "val" in arms.trained[0].fit_on:
                baseline = with_validation_part(context, baseline, recipe, seconds)
        except TrainingError as error:
            context.log.add(Decision(what=SCRATCH, value="left out", reason=f"it failed: {error}"))
            return arms
    told = [one.model_copy(update={"what": f"weights of {SCRATCH}"}) for one in baseline.decisions if one.what == WHAT]
    context.log.add(*told)
    return replace(arms, trained=[*arms.trained, baseline])


def least_seconds(context: FitContext, recipe: Recipe, forward: float) -> float:
    """Seconds that some steps and a validation at each rate take about, below which it is not worth beginning."""
    judged, stages = len(context.read.split.val), len(context.backbone.stages)
    inputs = len(recipe.rates_tried) * (FEWEST_STEPS * FORWARDS_AND_BACKWARDS * recipe.batch_size + judged) + judged
    return max(1.0, forward * inputs * (1 - recipe.first_stage(stages) / stages))


def _why_no_scratch(context: FitContext) -> str:
    if not context.plan.scratch:
        return "--no-scratch was given"
    if context.tuning.start == "random":
        return "the model itself is trained from scratch"
    if not any(True for _ in context.backbone.module.parameters()):
        return "the backbone has no weights"
    if not len(context.data.split.val):
        return "there is no validation part to choose its learning rate on"
    return ""
