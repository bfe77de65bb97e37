"""The arms of a fit: the probe, which is always there, the model asked for or found, and training from scratch.

A budget is for all of it, from where data and backbone are there to the final model: pass, probe, search and baselines.
Training from scratch gets a quarter of what the probe leaves, and whatever the model does not need. Without a budget no
clock decides anything: see `scratch_length`.
"""

from __future__ import annotations

from dataclasses import replace

from headstart.contracts.generation import blank
from headstart.contracts.recommender import HasCandidates
from headstart.contracts.task_capabilities import ClosedForm, SeveralTasks
from headstart.engine.process_group import process_group
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.pipeline.arms import is_head_alone, solve_arm
from headstart.pipeline.blending import Blending, blended_arm, may_blend
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import of_task, with_enough_epochs
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.record import Decision
from headstart.pipeline.refit import refitted, trained_and_refitted
from headstart.pipeline.single_tasks import with_single_tasks
from headstart.pipeline.time_estimates import Speed, speed
from headstart.pipeline.trained import Arms, Trained, weights_of
from headstart.search.floor import better_of, has_floor, told
from headstart.search.recommender_arms import recommender_arms
from headstart.search.retrieval_arms import retrieval_arms
from headstart.search.scratch_arm import SCRATCH, SHARE, least_seconds, scratch_in_steps, scratch_in_time, why_none
from headstart.search.scratch_length import count_operations
from headstart.search.search import Search

HEAD_SHARE = {True: 0.75, False: 0.35}
"""Of a budget, for the probe of a task whose head is trained by steps: more where it is the model asked for."""

_CANNOT = (
    "blend.weights = {}: the answers of a model and a probe of the task {} cannot be mixed here. That takes classes, "
    "label sets or numbers of whole examples, without --target, --from and head.kind = stages. Leave it out."
)


def train_arms(context: FitContext) -> Arms:
    """The model asked for first, then the baselines it is held against, and why a baseline is missing."""
    if isinstance(context.backbone, HasCandidates):
        return recommender_arms(context)
    if context.plan.tuning != AUTO and context.tuning.retrieves:
        return retrieval_arms(context)
    if blank(context.data.task, context.backbone) and not context.tuning.solved:
        return _from_nothing(context)
    budget, why = context.budget, why_none(context)
    for name, one in of_task(context.data.task).items():
        context.log.add(Decision(what=f"tuning.{name}", value=str(one.value), reason=one.reason))
    refits, searches = context.plan.refits and isinstance(context.read.task, ClosedForm), context.plan.tuning == AUTO
    with budget.step("the probe"):
        alone = is_head_alone(context.tuning, context)
        share = HEAD_SHARE[alone] / (2 if alone and context.tuning.refit else 1)
        time = None if budget.seconds is None else share * budget.left()
        baseline = solve_arm(context, "probe", refit=refits, budget=time)
        # what trains by steps starts from, and is chosen against, a head that has not seen the validation part
        needed = searches or has_floor(context)
        start = baseline if not refits else solve_arm(context, "probe") if needed else None
    timed = budget.seconds is not None
    fast = speed(context) if timed else Speed()
    operations = 0.0 if timed or why else count_operations(context)
    keep = 0.0 if why or not timed else SHARE * budget.left()
    if searches and start is not None:
        arms = _searched(context, keep, start, baseline, fast)
    elif context.tuning.solved or alone:
        arms = _as_model(Arms(context, []), _on_both_parts(context, baseline, keep))
    else:
        arms = _trained(context, keep, start, baseline, fast)
    if why:
        context.log.add(Decision(what=SCRATCH, value="left out", reason=why))
    elif timed:
        arms = scratch_in_time(arms, fast.plain)
    else:
        arms = scratch_in_steps(arms, operations)
    return replace(arms, used=budget.used())


def _searched(context: FitContext, keep: float, probe: Trained, baseline: Trained, fast: Speed) -> Arms:
    with context.budget.step("the search for the best tuning", context.budget.left() - keep):
        found = Search(context, probe, context.budget, keep, fast, baseline).run()
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


def _on_both_parts(context: FitContext, probe: Trained, keep: float) -> Trained:
    """The probe by steps trained once more, where its recipe says so; any other as it is."""
    tuning, budget = context.tuning, context.budget
    if tuning.solved or not tuning.refit:
        return probe
    recipe, _ = with_enough_epochs(tuning, len(context.read.split.train))
    seconds = None if budget.seconds is None else max(0.0, budget.left() - keep)
    with budget.step(f"training ({context.plan.tuning})", seconds):
        return refitted(context, probe, recipe, seconds, weights_of(context.backbone))


def _trained(context: FitContext, keep: float, start: Trained | None, baseline: Trained, fast: Speed) -> Arms:
    name, title = context.plan.tuning, f"{context.plan.tuning} tuning of {context.backbone.name}"
    title += "" if context.plan.head.plain else f" with {context.plan.head.described()}"
    seconds = None if context.budget.seconds is None else max(0.0, context.budget.left() - keep)
    several = isinstance(context.data.task, SeveralTasks)
    seconds = seconds / 2 if several and seconds is not None else seconds  # the other half is for each task alone
    tuning, more = with_enough_epochs(context.tuning, len(context.read.split.train))
    if has_floor(context) and seconds is not None:
        least = least_seconds(context, tuning, fast.plain)
        if process_group().agreed(seconds < least):
            return _as_model(Arms(context, [], cut_off=_not_begun(context, title, least, seconds)), baseline)
    how = context.plan.blend
    if how.weights and not may_blend(context):
        raise SettingsError(_CANNOT.format(how.weights, registry.name_of(context.data.task)))
    before = weights_of(context.backbone) if several or how.weights or has_floor(context) else {}
    with context.budget.step(f"training ({name})", seconds):
        tuned = trained_and_refitted(context, tuning, title, seconds, start)
        if how.weights:
            blending = Blending(how.weights, how.temperatures or (1.0, 1.0), how.calibration or tuned.model.calibration)
            tuned = blended_arm(context, baseline, tuned, blending, before)
    context.log.add(more, *tuned.decisions)
    arms = Arms(context, [tuned, baseline])
    if start is not None and has_floor(context) and not how.weights:
        arms = better_of(context, tuned, start, baseline, before)
    return told(with_single_tasks(arms, tuning, before, seconds) if several else arms, tuned)


def _from_nothing(context: FitContext) -> Arms:
    """A model that writes, from random weights: it is held against nothing, for before the training it writes noise."""
    for name, one in of_task(context.data.task).items():
        context.log.add(Decision(what=f"tuning.{name}", value=str(one.value), reason=one.reason))
    seconds = None if context.budget.seconds is None else context.budget.left()
    tuning, more = with_enough_epochs(context.tuning, len(context.read.split.train))
    title = f"{context.plan.tuning} tuning of {context.backbone.name}"
    with context.budget.step(f"training ({context.plan.tuning})", seconds):
        tuned = trained_and_refitted(context, tuning, title, seconds, None)
    why = Decision(what=SCRATCH, value="left out", reason="the model itself begins with random weights")
    context.log.add(more, *tuned.decisions, why)
    return replace(told(Arms(context, [tuned]), tuned), used=context.budget.used())


def _not_begun(context: FitContext, title: str, least: float, seconds: float) -> str:
    """The sentence that a training was not begun, with a decision that says so."""
    why = f"it takes at least about {least:.0f} s, and {seconds:.0f} s of the budget were left for it"
    context.log.add(Decision(what="model", value="probe", reason=f"{title} was not begun: {why}"))
    return f"CUT OFF by the budget: {title} was not begun, as {why}. The model is the frozen probe."
