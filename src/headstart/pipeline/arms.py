"""Arms: models trained on the same data - the one asked for, the frozen probe, training from scratch."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import ClosedForm, Sampled, is_linear
from headstart.contracts.tuning import Recipe
from headstart.engine.frozen.infer import Predictor, heads_on_features, predict_stored
from headstart.engine.solved.solve import solve_head
from headstart.engine.training.checkpoint import Progress
from headstart.engine.training.optimiser import has_batch_norm
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError, SettingsError, TrainingError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.embed import sampled
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.record import SOURCE_MODEL, TUNED, CandidateRow, Decision, StageRow
from headstart.pipeline.stage_rows import frozen_rows, head_row
from headstart.pipeline.stored_views import Beginning, beginning
from headstart.pipeline.time_estimates import seconds_after
from headstart.pipeline.training import Attempt, boundary, predict_validation, train_once, what_was_kept
from headstart.pipeline.view_averaging import averaged_where_better, views_averaged

Weights = Mapping[str, torch.Tensor]

LARGE = 10_000_000
"""Numbers whose handling takes so long that it is said beforehand."""


@dataclass(frozen=True)
class Trained:
    """An arm that has its model."""

    key: str
    title: str
    model: Model
    seconds: float
    chosen: Mapping[str, float | int | str]
    progress: Progress | None = None
    """None when the arm was solved."""
    decisions: tuple[Decision, ...] = ()
    """Choices made for its training, with reasons."""
    stages: tuple[StageRow, ...] = ()
    """Each stage of the backbone after the training."""
    head: StageRow | None = None
    """The same of its head."""
    weights: Weights | None = None
    """Of the backbone, where another arm may change it and predictions cannot be made from what is stored."""
    validation: Prediction | None = None
    """Its calibrated prediction for the validation part; None where there is none, or the head was fit on it."""
    fit_on: tuple[str, ...] = ("train",)
    """Parts of the split that its weights were fit on."""
    shortcoming: str = ""
    """As in `record.Arm`."""


@dataclass(frozen=True)
class Arms:
    """All arms of a fit."""

    context: FitContext
    """Its plan repeats the model."""
    trained: list[Trained]
    """The model first, then the baselines it is held against."""
    candidates: tuple[CandidateRow, ...] = ()
    cut_off: str = ""
    """How far the budget let the training come that was asked for, in a sentence; empty where it ended by itself."""
    sentence: str = ""
    """A sentence for the verdict: how the model was found, or that its training was broken off; else empty."""
    used: float = 0.0
    """Seconds of the budget that all of it took."""
    adaptation: AdaptationRow | None = None
    """Adaptation to a target; None without one."""

    @property
    def asked(self) -> Trained:
        """The arm that was asked for: the model, or the fine-tuning that is kept beside it."""
        return next((arm for arm in self.trained if arm.key == TUNED), self.trained[0])

    def with_tuned_model(self) -> Arms:
        """The fine-tuning that is kept beside the model as the model, and the probe that it is held against.

        Nothing in them was adapted to a target.
        """
        by_key, tuned = {arm.key: arm for arm in self.trained}, self.asked
        probe = by_key.get(SOURCE_MODEL, self.trained[0])
        others = [arm for key, arm in by_key.items() if key not in ("model", SOURCE_MODEL, TUNED)]
        trained = [replace(tuned, key="model"), replace(probe, key="probe"), *others]
        return replace(self, trained=trained, sentence=what_was_kept(tuned.progress), adaptation=None)


def weights_of(backbone: Backbone) -> Weights:
    """A copy of its weights as they are now."""
    return {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}


def solve_arm(context: FitContext, key: str, *, refit: bool = False) -> Trained:
    """The frozen probe: the task's own solver on frozen features.

    It is solved on the training part and calibrated on validation; with `refit` it is solved on both parts, and its
    calibration comes from the solver's own cross-validation. Where the task has no closed form, its head is trained by
    steps on the same features, which needs the validation part.
    """
    if not isinstance(context.read.task, ClosedForm):
        return _head_alone(context, key)
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
    arm = Trained(key, title, model, seconds, chosen, stages=stages, head=row, weights=weights)
    return _on_both_parts(context, arm, calibration) if refit else _calibrated(context, arm)


def _solved(
    context: FitContext, task: BoundTask, rows: np.ndarray, *, refit: bool
) -> tuple[nn.Module, Mapping[str, Any], Mapping[str, float]]:
    """The head of the task's own solver for some rows of what is read, what it chose, and its own calibration."""
    data = context.read
    if not isinstance(task, ClosedForm):
        raise SettingsError(f"the head of the task {registry.name_of(task)} has no closed form")
    owners = rows
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
    return replace(arm, chosen={**arm.chosen, **calibration}, decisions=(decision,) if val else (), fit_on=fit_on)


def _head_alone(context: FitContext, key: str) -> Trained:
    recipe, _ = with_enough_epochs(registry.plugin("tuning", "head_only")(), len(context.data.split.train))
    arm = train_arm(context, key, recipe, f"frozen probe on {context.backbone.name}", None)
    return replace(arm, weights=weights_of(context.backbone))


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
    frozen = boundary(tuning, context.objective, len(backbone.stages))
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
    return Trained(
        key,
        title,
        model_with(context, backbone, attempt.head),
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


def predict_rows(context: FitContext, arm: Trained, rows: np.ndarray) -> Prediction:
    """The arm's calibrated prediction for some rows: from the stored features where the backbone stayed as it was."""
    if arm.progress is None and context.data.task.needs.features == "pooled":
        return heads_on_features(arm.model, context.features.pooled(rows))
    if arm.progress is None and context.windows is None and context.features.spec.keep == "state":
        head_inputs = context.data.task.inputs(context.data.examples)
        return predict_stored(arm.model, context.features, rows, head_inputs=head_inputs)
    with own_weights(arm):
        examples = context.data.examples.take(rows)
        predicted = Predictor(arm.model, reporter=context.reporter)(examples)
    if predicted.prediction is None or predicted.failures:
        raise no_longer_read(examples, predicted.failures)
    return predicted.prediction


def predict_target(context: FitContext, arm: Trained, target: EmbeddedTarget) -> Prediction:
    """The arm's calibrated prediction for the target: from its features where the backbone stayed as it was."""
    if arm.progress is None:
        return heads_on_features(arm.model, target.pooled)
    with own_weights(arm):
        predicted = Predictor(arm.model, reporter=context.reporter)(target.data.examples)
    if predicted.prediction is None or predicted.failures:
        raise no_longer_read(target.data.examples, predicted.failures)
    return predicted.prediction


@contextmanager
def own_weights(arm: Trained) -> Iterator[None]:
    """Within it the arm's backbone has the weights that the arm goes by, whatever was trained on it since."""
    if arm.weights is None:
        yield
        return
    module = arm.model.backbone.module
    now = weights_of(arm.model.backbone)
    module.load_state_dict(arm.weights)
    try:
        yield
    finally:
        module.load_state_dict(now)


@dataclass(frozen=True)
class FirstHead:
    """The head that a training starts from."""

    head: nn.Module
    learnt: bool
    """True where it knows the task already."""
    decisions: tuple[Decision, ...] = ()


def first_head(context: FitContext, recipe: Recipe, backbone: Backbone, probe: Trained | None) -> FirstHead:
    """Choose the first head: that of a continued run, the solver's where a recipe starts from it, or a fresh one."""
    if context.head is not None and backbone is context.backbone:
        return FirstHead(context.head, learnt=True)
    task, what = context.data.task, "the head's start"
    renewed = recipe.renew_statistics and has_batch_norm(backbone.module)
    if recipe.head == "solved" and is_linear(task) and backbone is context.backbone and not renewed:
        solved = probe or solve_arm(context, "probe")
        why = Decision(what=what, value="solved", reason="that of the probe, so that no random head bends the features")
        return FirstHead(solved.model.heads["head"], learnt=True, decisions=(why,))
    reason = "the task's head is not linear, and only linear heads can be solved for"
    if renewed:
        reason = "BatchNorm's statistics are renewed, so that features differ from those the probe's head was solved on"
    told = (Decision(what=what, value="random", reason=reason),) if recipe.head == "solved" else ()
    with torch.random.fork_rng():
        torch.manual_seed(draw_seed(context.plan.seed, "head"))
        return FirstHead(task.head(backbone), learnt=False, decisions=told)


def scaled(tuning: Recipe, factor: float) -> Recipe:
    """The recipe at other rates."""
    rates = {name: getattr(tuning, name) * factor for name in ("learning_rate", "head_learning_rate")}
    return tuning.model_copy(update=rates)


def model_with(context: FitContext, backbone: Backbone, head: nn.Module, task: BoundTask | None = None) -> Model:
    """A model of the context's task, or of another one, with a head; not calibrated."""
    heads = nn.ModuleDict({"head": head})
    execution = context.execution_of(backbone)
    return Model(backbone, task or context.data.task, heads, context.data.columns, execution)


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
