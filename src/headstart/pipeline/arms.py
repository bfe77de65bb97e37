"""Arms: models trained on the same data - the one asked for, the frozen probe, training from scratch."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.blended_head import Blend, Blended, Part, link_of
from headstart.contracts.head_kinds import BeginsAtMeans
from headstart.contracts.head_shape import HeadShape, shaped_head
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.several_backbones import HasMembers
from headstart.contracts.spoken_characters import begins_learnt
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import ClosedForm, Sampled, is_linear
from headstart.contracts.tuning import Recipe
from headstart.engine.solved.solve import solve_head
from headstart.engine.training.optimiser import has_batch_norm
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError, SettingsError, TrainingError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.blending import solved_side_by_side, weights_told
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import for_task, with_enough_epochs
from headstart.pipeline.embed import sampled
from headstart.pipeline.plan import HEAD_BY_STEPS
from headstart.pipeline.record import Decision
from headstart.pipeline.stage_rows import frozen_rows, head_row
from headstart.pipeline.stored_views import Beginning, beginning
from headstart.pipeline.time_estimates import seconds_after
from headstart.pipeline.trained import Trained, predict_rows, weights_of
from headstart.pipeline.training import Attempt, boundary, predict_validation, train_once
from headstart.pipeline.view_averaging import averaged_where_better, views_averaged

LARGE = 10_000_000
"""Numbers whose handling takes so long that it is said beforehand."""


def solve_arm(context: FitContext, key: str, *, refit: bool = False, budget: float | None = None) -> Trained:
    """The frozen probe: the task's own solver on frozen features.

    It is solved on the training part and calibrated on validation; with `refit` it is solved on both parts, and its
    calibration comes from the solver's own cross-validation. Where the task has no closed form, its head is trained by
    steps on the same features, which needs the validation part, for `budget` seconds at most.
    """
    if not isinstance(context.read.task, ClosedForm):
        return _head_alone(context, key, budget)
    started = time.monotonic()
    task, split = context.read.task.linear(), context.read.split
    rows = np.union1d(split.train, split.val) if refit else split.train
    head, chosen, calibration = _solved(context, task, rows, refit=refit)
    model, title = model_with(context, context.backbone, head, task), f"linear probe on {context.backbone.name}"
    stages, row = frozen_rows(context.backbone), head_row(head, 0.0)
    seconds = time.monotonic() - started
    stored = context.data.task.needs.features == "pooled" or (
        context.windows is None and context.features.spec.keep == "state"
    )
    weights = None if stored else weights_of(context.backbone)
    told = () if isinstance(model.shape, HeadShape) else (weights_told(context.backbone, chosen, len(rows)),)
    arm = Trained(key, title, model, seconds, chosen, decisions=told, stages=stages, head=row, weights=weights)
    return _on_both_parts(context, arm, calibration) if refit else _calibrated(context, arm)


def _solved(
    context: FitContext, task: BoundTask, rows: np.ndarray, *, refit: bool
) -> tuple[nn.Module, Mapping[str, Any], Mapping[str, float]]:
    """The head of the task's own solver for some rows of what is read, what it chose, and its own calibration."""
    data = context.read
    if not isinstance(task, ClosedForm):
        raise SettingsError(f"the head of the task {registry.name_of(task)} has no closed form")
    owners = rows
    if isinstance(context.backbone, HasMembers) and link_of(task):
        return solved_side_by_side(context, task, rows, data.kept_together(rows) if refit else data.groups_of(rows))
    if not isinstance(task, Sampled):
        features, targets = context.features.pooled(rows), data.targets_of(rows)
        shown = presentation_of(data.task)
        classes = len(shown.tally(shown.labels(data.examples.take(rows))))
        if classes * len(rows) > LARGE:
            context.reporter.say(f"Solving a head of {classes:,} classes on {len(rows):,} examples takes a while")
    else:
        features, targets, owners = sampled(context, task, rows)
    if not np.isfinite(features).all():
        raise BackboneError(f"{context.backbone.name} gives features of NaN or infinity: its weights are of no use")
    groups = data.kept_together(owners) if refit else data.groups_of(owners)
    head, found = solve_head(task, features, targets, groups, context.plan.seed)
    names = task.evaluation.limits
    chosen = {name: value for name, value in found.items() if name not in names}
    return head, chosen, {name: float(found[name]) for name in names if name in found}


def _on_both_parts(context: FitContext, arm: Trained, calibration: Mapping[str, float]) -> Trained:
    """A head solved on training and validation part, with a calibration from examples that it was not solved on.

    A solver that leaves its calibration to others is calibrated by a head of the training part, on validation.
    """
    arm.model.eval()
    val = len(context.data.split.val)
    if val and set(calibration) != set(arm.model.task.evaluation.limits):
        calibration = solve_arm(context, arm.key).model.calibration
    arm.model.calibration = calibration
    examples = len(context.data.split.train) + val
    decision = Decision(
        what="the probe's head",
        value=f"solved on training and validation part, {examples} examples",
        reason="its regularisation and calibration are cross-validated and need no validation part; "
        "tuning.refit = false keeps to the training part",
    )
    fit_on = ("train", "val") if val else ("train",)
    told = (*arm.decisions, *((decision,) if val else ()))
    return replace(arm, chosen={**arm.chosen, **calibration}, decisions=told, fit_on=fit_on)


def is_probe_by_steps(tuning: Any, context: FitContext) -> bool:
    """Return whether a tuning is the frozen probe of a task whose head cannot be solved for."""
    return is_head_alone(tuning, context) and not tuning.refit


def is_head_alone(tuning: Any, context: FitContext) -> bool:
    """Return whether a tuning is that probe, or that probe trained once more on the validation part too."""
    stages = len(context.backbone.stages)
    steps = isinstance(tuning, Recipe) and tuning.first_stage(stages) == stages
    learnt = begins_learnt(context.read.task)
    return steps and context.head is None and not isinstance(context.read.task, ClosedForm) and not learnt


def usual_head(context: FitContext) -> Recipe:
    """The recipe of a head by steps on frozen features, where nothing else is asked for."""
    found: Recipe = for_task(registry.plugin("tuning", HEAD_BY_STEPS)(), context.data.task)
    return found


def _head_alone(context: FitContext, key: str, budget: float | None) -> Trained:
    """The frozen probe by steps, as the tuning asked for says or in the usual way."""
    if begins_learnt(context.data.task):
        return _as_it_is(context, key)
    asked = context.tuning if is_head_alone(context.tuning, context) else usual_head(context)
    recipe, more = with_enough_epochs(asked, len(context.data.split.train))
    arm = train_arm(context, key, recipe, f"frozen probe on {context.backbone.name}", budget)
    decisions = (*filter(None, [more]), *arm.decisions)
    return replace(arm, weights=weights_of(context.backbone), decisions=decisions, frozen=True)


def _as_it_is(context: FitContext, key: str) -> Trained:
    """The backbone with its own decoder or last layer and nothing trained: where a fine-tuning starts from."""
    task, backbone = context.data.task, context.backbone
    model, stages = model_with(context, backbone, task.head(backbone)), frozen_rows(backbone)
    title, row = f"{backbone.name} as it is", head_row(model.heads["head"], 0.0)
    arm = Trained(key, title, model, 0.0, {}, stages=stages, head=row, weights=weights_of(backbone), frozen=True)
    return _calibrated(context, arm)


def train_arm(
    context: FitContext, key: str, tuning: Any, title: str, budget: float | None, probe: Trained | None = None
) -> Trained:
    """Training by steps, at each of the recipe's rates; the best on validation is kept.

    Args:
        context: data and backbone. key, title: the arm's.
        tuning: a `Recipe`.
        budget: seconds; None for no limit.
        probe: the solved arm, for a tuning that starts from its head; solved here where it is needed and missing.

    Raises:
        SettingsError: the tuning cannot work on the backbone.
        TrainingError: at none of the rates any epoch was judged before a loss ceased to be finite, or nothing moves.
        DataError: there is no validation part.
    """
    if not len(context.data.split.val):
        raise DataError(
            f"there is no validation part to choose the best epoch on: {len(context.data.examples)} usable examples "
            "are too few. Use --tuning probe, which needs none, or label more."
        )
    started, backbone = time.monotonic(), context.backbone
    if tuning.start == "random":
        backbone = backbone.fresh(draw_seed(context.plan.seed, "random weights"))
    context.augmentation.suit(backbone.modality)
    tuning.check(backbone)
    frozen = boundary(tuning, context.objective, backbone)
    begun = beginning(context, backbone, tuning, frozen, key, budget)
    averaging = views_averaged(context, begun.bound)
    first = first_head(context, tuning, backbone, probe)
    left = budget
    if budget is not None:
        after = seconds_after(context, model_with(context, backbone, first.head), averaging)
        left = max(0.0, budget - after - (time.monotonic() - started))
    attempts = _attempts(context, key, tuning, backbone, left, begun, first)
    best = min(attempts, key=lambda attempt: attempt.progress.best_cost)
    backbone.module.load_state_dict(best.state)
    failed = len(tuning.rates_tried) - sum(not attempt.progress.broken_off for attempt in attempts)
    tried = {"rates_tried": len(tuning.rates_tried), **({"rates_failed": failed} if failed else {})}
    arm = arm_of(context, key, title, backbone, best, (*begun.decisions, *first.decisions))
    seconds = sum(attempt.progress.seconds for attempt in attempts)  # with those before an interruption
    arm = replace(arm, seconds=begun.seconds + seconds, chosen={**tried, **arm.chosen})
    return finished_arm(context, arm, begun, averaging)


def arm_of(
    context: FitContext, key: str, title: str, backbone: Backbone, attempt: Attempt, decisions: tuple[Decision, ...]
) -> Trained:
    """The arm of a training whose weights are in the backbone; not calibrated yet."""
    progress = attempt.progress
    chosen: dict[str, float | int | str] = {
        "learning_rate": attempt.recipe.learning_rate,
        "best_epoch": progress.best_epoch + 1,
        "epochs": len(progress.history),
        **({} if attempt.recipe.max_steps is None else {"max_steps": attempt.recipe.max_steps}),
        **progress.choices(),
        **attempt.merged,
    }
    model = model_with(context, backbone, attempt.head)
    model.additions = attempt.additions
    return Trained(
        key,
        title,
        model,
        progress.seconds,
        chosen,
        progress,
        (*decisions, *attempt.decisions),
        attempt.stages,
        attempt.head_row,
    )


def finished_arm(context: FitContext, arm: Trained, begun: Beginning, views: int) -> Trained:
    """The arm calibrated, and with its predictions averaged over so many views where that is better."""
    arm = _calibrated(context, arm, predict_validation(context, arm.model, begun))
    if not views:
        return arm
    model, decision = averaged_where_better(context, arm.model, begun.bound, views)
    return replace(arm, model=model, decisions=(*arm.decisions, decision))


def _attempts(
    context: FitContext,
    key: str,
    tuning: Any,
    backbone: Backbone,
    budget: float | None,
    begun: Beginning,
    first: FirstHead,
) -> list[Attempt]:
    """A training at each rate, each from the same start; one that fails is told of, and counts if there is no other."""
    initial = weights_of(backbone)
    share = None if budget is None else budget / len(tuning.rates_tried)
    attempts: list[Attempt] = []
    for factor in tuning.rates_tried:
        backbone.module.load_state_dict(initial)
        model, recipe = model_with(context, backbone, copy.deepcopy(first.head)), scaled(tuning, factor)
        try:
            attempt = train_once(context, f"{key}-{factor:g}", model, recipe, share, begun, head_learnt=first.learnt)
        except TrainingError as error:
            if not attempts and factor == tuning.rates_tried[-1]:
                raise
            context.reporter.say(f"Learning rate {recipe.learning_rate:g} is left out: {error}")
            continue
        if attempt.progress.broken_off:
            context.reporter.say(f"Learning rate {recipe.learning_rate:g} is broken off: {attempt.progress.stopped}")
        attempts.append(attempt)
    return [attempt for attempt in attempts if not attempt.progress.broken_off] or attempts


@dataclass(frozen=True)
class FirstHead:
    """The head that a training starts from."""

    head: nn.Module
    learnt: bool
    """True where it knows the task already."""
    decisions: tuple[Decision, ...] = ()


def first_head(context: FitContext, recipe: Recipe, backbone: Backbone, probe: Trained | None) -> FirstHead:
    """Choose the first head: that of a continued run, the solver's where a recipe starts from it, that of a probe which
    was trained by steps, or a fresh one."""
    if context.head is not None and backbone is context.backbone:
        return FirstHead(context.head, learnt=True)
    task, what = context.data.task, "the head's start"
    renewed = recipe.renew_statistics and has_batch_norm(backbone.module)
    same = backbone is context.backbone and not renewed
    reason = "that of the probe, so that no random head bends the features"
    if not context.plan.head.plain:
        return _of_shape(context, backbone, begins=same)
    solvable = same and recipe.head == "solved" and is_linear(task)
    solved = probe or solve_arm(context, "probe") if solvable else None
    if solved is not None and not isinstance(solved.model.shape, Blended):
        why = Decision(what=what, value="solved", reason=reason)
        return FirstHead(solved.model.heads["head"], learnt=True, decisions=(why,))
    if same and probe is not None and not isinstance(task, ClosedForm):
        why = Decision(what=what, value="trained", reason=reason)
        return FirstHead(copy.deepcopy(probe.model.heads["head"]), learnt=True, decisions=(why,))
    reason = "the task's head is not linear, and only linear heads can be solved for"
    if solved is not None:
        reason = "the probe's head mixes several models, and training begins with a single one"
    elif renewed:
        reason = "BatchNorm's statistics are renewed, so that features differ from those the probe's head was solved on"
    told = (Decision(what=what, value="random", reason=reason),) if recipe.head == "solved" else ()
    with torch.random.fork_rng():
        torch.manual_seed(draw_seed(context.plan.seed, "head"))
        return FirstHead(task.head(backbone), learnt=False, decisions=told)


def _of_shape(context: FitContext, backbone: Backbone, *, begins: bool) -> FirstHead:
    """A fresh head of the shape that the plan says; one of class means begins at those of the frozen features."""
    shape, data, rows = context.plan.head, context.read, context.read.split.train
    with torch.random.fork_rng():
        torch.manual_seed(draw_seed(context.plan.seed, "head"))
        head = shaped_head(context.data.task, backbone, shape)
    value, reason = "random", f"{shape.described()} is trained by steps from the beginning"
    if begins and isinstance(head, BeginsAtMeans):
        labels = data.targets_of(rows)["label"]
        head.begin(torch.from_numpy(context.features.pooled(rows)).float(), torch.from_numpy(labels))
        value, reason = "class means", f"{shape.described()} begins at the means of each class's training features"
    return FirstHead(head, value != "random", (Decision(what="the head's start", value=value, reason=reason),))


def scaled(tuning: Recipe, factor: float) -> Recipe:
    """The recipe at other rates."""
    rates = {name: getattr(tuning, name) * factor for name in ("learning_rate", "head_learning_rate")}
    return tuning.model_copy(update=rates)


def model_with(context: FitContext, backbone: Backbone, head: nn.Module, task: BoundTask | None = None) -> Model:
    """A model of the context's task with a head of the plan's shape, or of another one with its own; not calibrated."""
    heads = nn.ModuleDict({"head": head})
    execution = context.execution_of(backbone)
    shape: HeadShape | Blended = context.plan.head if task is None else HeadShape()
    if isinstance(head, Blend):
        shape = Blended(parts=tuple(Part(width=width) for width in head.widths))
    return Model(backbone, task or context.data.task, heads, context.data.columns, execution, shape=shape)


def _calibrated(context: FitContext, arm: Trained, validation: Prediction | None = None) -> Trained:
    """The arm with its calibration, from its prediction for the validation part, made here where missing."""
    rows, task = context.data.split.val, context.data.task
    arm.model.eval()
    if not len(rows):
        return arm
    found = predict_rows(context, arm, rows) if validation is None else validation
    arm.model.calibration = task.evaluation.calibrate(found, context.data.targets_of(rows))
    finished = task.evaluation.finish(found, arm.model.calibration)
    return replace(arm, chosen={**arm.chosen, **arm.model.calibration}, validation=finished)
