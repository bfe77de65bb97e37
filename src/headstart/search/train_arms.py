"""The arms of a fit: the probe, which is always there, the model asked for or found, and training from scratch.

A budget is for all of it, from where data and backbone are there to the final model: pass, probe, search and baselines.
Training from scratch gets a quarter of what the probe leaves, and whatever the model does not need. Without a budget no
clock decides anything: see `scratch_length`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headstart.contracts.tuning import Recipe
from headstart.kernel.errors import TrainingError
from headstart.pipeline.arms import Trained, solve_arm, train_arm
from headstart.pipeline.budget import TimeBudget
from headstart.pipeline.clock import Clock
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.interrupted_training import require_whole, what_was_kept
from headstart.pipeline.pass_time import Speed, speed
from headstart.pipeline.plan import AUTO
from headstart.pipeline.record import BudgetRow, CandidateRow, Decision, RunRecord
from headstart.pipeline.refit import solved_again, trained_and_refitted
from headstart.search.pricing import FORWARDS_AND_BACKWARDS
from headstart.search.scratch_length import count_operations, scratch_length
from headstart.search.search import Search

SCRATCH_SHARE = 0.25
"""Of what a budget leaves when the probe is done, for training from scratch."""

SCRATCH = "training from scratch"

FEWEST_STEPS = 8
"""Of a training at one rate that is worth beginning, those that measure it included."""


@dataclass(frozen=True)
class Arms:
    """What a fit has tried."""

    context: FitContext
    """Its plan repeats the model."""
    trained: list[Trained]
    """The model first, then the baselines it is held against."""
    decisions: tuple[Decision, ...] = ()
    candidates: tuple[CandidateRow, ...] = ()
    sentence: str = ""
    """How the model was found, or that its training was broken off, for the verdict; empty where neither."""
    allowed: Mapping[str, float] = field(default_factory=dict)
    """Step of the clock -> seconds that it was allowed."""


def train_arms(context: FitContext, clock: Clock, time_budget: TimeBudget) -> Arms:
    """The model asked for first, then the baselines it is held against, and why a baseline is missing."""
    tuning, why = context.plan.plugin("tuning"), _why_no_scratch(context, context.plan.plugin("tuning"))
    with clock.step("the probe"):
        probe = solve_arm(context, "probe")
    timed = time_budget.seconds is not None
    fast = speed(context) if timed else Speed()
    operations = 0.0 if timed or why else count_operations(context)
    keep = 0.0 if why or math.isinf(time_budget.left()) else SCRATCH_SHARE * time_budget.left()
    if context.plan.tuning == AUTO:
        arms = _searched(context, clock, time_budget, keep, probe, fast)
    elif tuning.solved:
        arms = _as_model(Arms(context, []), probe)
    else:
        arms = _trained(context, clock, time_budget, keep, probe, tuning)
    if why:
        decision = Decision(what=SCRATCH, value="left out", reason=why)
        return replace(arms, decisions=(*arms.decisions, decision))
    if timed:
        return _scratch_in_time(arms, clock, time_budget.left(), _least_scratch(context, fast.plain))
    recipe, model = context.plan.scratch_recipe(), arms.trained[0].progress
    length = scratch_length(context, recipe, model, operations)
    told = [length.decision(f"length of {SCRATCH}")]
    return _with_scratch(arms, clock, length.recipe, None, told)


def with_search(record: RunRecord, arms: Arms, used: float) -> RunRecord:
    """The record with how the model was found, and what became of the budget of which so many seconds were used."""
    seconds = arms.context.plan.budget
    budget = None if seconds is None else BudgetRow(seconds=seconds, used=round(used, 3), steps=dict(arms.allowed))
    words = " ".join(filter(None, (record.verdict, arms.sentence)))
    return record.model_copy(update={"candidates": arms.candidates, "budget": budget, "verdict": words})


def _searched(
    context: FitContext, clock: Clock, time_budget: TimeBudget, keep: float, probe: Trained, fast: Speed
) -> Arms:
    step, allowed = "the search for the best tuning", time_budget.left() - keep
    with clock.step(step):
        found = Search(context, probe, time_budget, keep, fast).run()
    limits = {} if math.isinf(allowed) else {step: allowed}
    arms = Arms(found.context, [], found.decisions, found.candidates, found.sentence, limits)
    if found.arm is None:
        return _as_model(arms, probe)
    return replace(arms, trained=[found.arm, probe], decisions=(*arms.decisions, *found.arm.decisions))


def _as_model(arms: Arms, probe: Trained) -> Arms:
    """With the probe as the model, solved once more where its tuning says so."""
    model = solved_again(arms.context, probe) if arms.context.plan.plugin("tuning").refit else probe
    return replace(arms, trained=[replace(model, key="model")], decisions=(*arms.decisions, *model.decisions))


def _trained(
    context: FitContext, clock: Clock, time_budget: TimeBudget, keep: float, probe: Trained, tuning: Any
) -> Arms:
    plan = context.plan
    title, step = f"{plan.tuning} tuning of {context.backbone.name}", f"training ({plan.tuning})"
    budget = None if time_budget.seconds is None else max(0.0, time_budget.left() - keep)
    tuning, more = with_enough_epochs(tuning, len(context.read.split.train))
    with clock.step(step):
        model = trained_and_refitted(context, tuning, title, budget, probe)
    decisions = (*((more,) if more else ()), *model.decisions)
    allowed = {} if budget is None else {step: budget}
    return Arms(context, [model, probe], decisions, sentence=what_was_kept(model.progress), allowed=allowed)


def _scratch_in_time(arms: Arms, clock: Clock, left: float, least: float) -> Arms:
    """With the baseline from random weights in what is left of the budget, or why it is left out."""
    if left < least:
        why = f"it takes at least about {least:.0f} s, and {left:.0f} s of the budget are left"
        return replace(arms, decisions=(*arms.decisions, Decision(what=SCRATCH, value="left out", reason=why)))
    context = arms.context
    reason = f"what is left of the budget, by the clock; {SCRATCH_SHARE:.0%} of what the probe left was kept for it"
    decisions = [Decision(what=f"time for {SCRATCH}", value=f"{left:.0f} s", reason=reason)]
    recipe, more = with_enough_epochs(context.plan.scratch_recipe(), len(context.read.split.train))
    return _with_scratch(arms, clock, recipe, left, [*decisions, *([more] if more else [])])


def _with_scratch(arms: Arms, clock: Clock, recipe: Recipe, budget: float | None, decisions: list[Decision]) -> Arms:
    """With the baseline from random weights, or why it failed; `budget` in seconds, None for no limit."""
    context, trained = arms.context, arms.trained
    with clock.step(SCRATCH):
        title = f"{context.backbone.name} from scratch"
        try:
            baseline = train_arm(context, "scratch", recipe, title, budget)
            require_whole(baseline.progress)
            trained = [*trained, baseline]
        except TrainingError as error:
            decisions.append(Decision(what=SCRATCH, value="left out", reason=f"it failed: {error}"))
    allowed = arms.allowed if budget is None else {**arms.allowed, SCRATCH: budget}
    return replace(arms, trained=trained, decisions=(*arms.decisions, *decisions), allowed=allowed)


def _least_scratch(context: FitContext, forward: float) -> float:
    """Seconds that some steps and a validation at each rate take about, below which it is not worth beginning."""
    recipe = context.plan.scratch_recipe()
    judged = len(context.read.split.val)
    inputs = len(recipe.rates_tried) * (FEWEST_STEPS * FORWARDS_AND_BACKWARDS * recipe.batch_size + judged) + judged
    return max(1.0, forward * inputs)


def _why_no_scratch(context: FitContext, tuning: Any) -> str:
    if not context.plan.scratch:
        return "--no-scratch was given"
    if tuning.start == "random":
        return "the model itself is trained from scratch"
    if not any(True for _ in context.backbone.module.parameters()):
        return "the backbone has no weights"
    if not len(context.data.split.val):
        return "there is no validation part to choose its learning rate on"
    return ""
