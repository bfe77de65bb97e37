"""One training: a model as it is before, a recipe, and where its batches begin; what comes of it.

What a tuning trains beside the backbone's own weights, such as adapters, is put in before and merged afterwards, so
that around a training a backbone has its plain weights under their plain names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone, state_hash
from headstart.contracts.head_shape import additions_for
from headstart.contracts.model import Model
from headstart.contracts.objective import KEPT, SOURCE, TARGET
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_movement import kind_of
from headstart.contracts.tuning import Rate, Recipe, TrainingStart
from headstart.engine.device import pick_device, usual_batch_size
from headstart.engine.frozen.feeding import lengths_of
from headstart.engine.process_group import ProcessGroup
from headstart.engine.streams import Stream, by_length
from headstart.engine.tile_order import tiles_of
from headstart.engine.training.checkpoint import CheckpointFile, Progress
from headstart.engine.training.forward import Forward
from headstart.engine.training.loop import Loop
from headstart.engine.training.micro_batches import MicroBatches
from headstart.engine.training.precision import precision_in_use
from headstart.engine.training.relative_gradients import BATCHES, relative_gradients
from headstart.engine.training.training_plan import TrainingPlan
from headstart.engine.training.validation import Validation
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.kernel.files import hash_json
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import target_source
from headstart.pipeline.kept_source import kept_stream
from headstart.pipeline.record import Decision, StageRow
from headstart.pipeline.stage_rows import frozen_rows, head_row, trained_rows
from headstart.pipeline.stored_views import Beginning
from headstart.pipeline.stream_rows import stream_rows


@dataclass(frozen=True)
class Attempt:
    """Outcome of a training."""

    recipe: Recipe
    progress: Progress
    state: Mapping[str, torch.Tensor]
    """Of the backbone."""
    head: nn.Module
    additions: nn.ModuleDict
    """Modules that the objective trained beside the head."""
    stages: tuple[StageRow, ...]
    head_row: StageRow
    merged: Mapping[str, int]
    """Counts of what was trained beside the backbone's weights and added to them."""
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Opened:
    """A training that is ready to run."""

    loop: Loop
    rows: tuple[StageRow, ...]
    """Rows of the stages as they will be after the training."""
    head_rate: float
    """Peak rate of the head."""
    measure: _Measure


def train_once(
    context: FitContext,
    key: str,
    model: Model,
    recipe: Any,
    budget: float | None,
    begun: Beginning,
    *,
    head_learnt: bool,
    until: int | None = None,
    epochs: int | None = None,
) -> Attempt:
    """Train `model` in place.

    Args:
        context: data and backbone.
        key: names the checkpoint, from which a training goes on that was killed, or paused by `until`.
        model: with the head that training starts from; `head_learnt` says whether that one knows the task.
        recipe: its tuning. budget: seconds; None for no limit.
        begun: where the batches begin.
        until: pause when so many epochs are done; the model then has its best weights so far.
        epochs: fixes their number; without it they are the recipe's, or as many of them as the budget allows.

    Raises:
        TrainingError: it cannot go on before any epoch was judged, or nothing would move.
    """
    backbone = model.backbone
    ready = opened(context, model, recipe, begun, head_learnt=head_learnt, key=key, budget=budget, epochs=epochs)
    with ready as (training, merged):
        progress = training.loop.run(until)
    state = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    head = model.heads["head"]
    row, decisions = head_row(head, training.head_rate), training.measure.decisions()
    return Attempt(recipe, progress, state, head, model.additions, training.rows, row, merged, decisions)


@contextmanager
def opened(
    context: FitContext,
    model: Model,
    recipe: Any,
    begun: Beginning,
    *,
    head_learnt: bool,
    key: str | None = None,
    budget: float | None = None,
    epochs: int | None = None,
) -> Iterator[tuple[Opened, dict[str, int]]]:
    """The loop that trains `model`, which until the block ends has what the recipe trains beside its weights.

    Args:
        context, model, recipe, begun, head_learnt, budget, epochs: as for `train_once`.
        key: names the checkpoint; there is none without it.

    Yields:
        The training, and counts of what was merged into the weights, which are there after the block.

    Raises:
        TrainingError: nothing would move.
    """
    backbone, rows = model.backbone, frozen_rows(model.backbone)
    checkpoint = None
    if context.work is not None and key is not None:
        checkpoint = CheckpointFile(context.work / f"{key}.checkpoint", _identity(context, model, recipe))
    merged: dict[str, int] = {}
    model.backbone = adapted = recipe.adapted(backbone, draw_seed(context.plan.seed, "adapters"))
    try:
        source, validation = _streams(context, model, recipe, begun)
        measure = _Measure(model, source, begun.start)
        rates = recipe.settled(recipe.rates(len(rows)), TrainingStart(head_learnt, measure))
        plan = _loop_plan(context, recipe, rates, begun.start, budget, epochs)
        with torch.random.fork_rng():
            torch.manual_seed(draw_seed(context.plan.seed, "additions"))
            model.additions.update(additions_for(plan.objective, backbone, model.task, model.head_shape))
        streams = {name: replace(source, name=name, rows=rows) for name, rows in stream_rows(context.read).items()}
        if context.target is not None and TARGET in plan.objective.streams:
            streams[TARGET] = _target_stream(context, context.target, model, source, begun.start)
        if KEPT in plan.objective.streams:
            objective: Any = plan.objective
            streams[KEPT] = kept_stream(context, source, begun.start, objective.kept)
        loop = Loop(model, plan, streams, validation, checkpoint=checkpoint, reporter=context.reporter)
        head_rate = recipe.head_learning_rate * next(rate.factor for rate in rates if rate.stage < 0)
        yield Opened(loop, trained_rows(rows, adapted, rates, recipe), head_rate, measure), merged
    finally:
        merged.update(recipe.merge(adapted))
        model.backbone = backbone


def boundary(tuning: Any, objective: Any, backbone: Backbone) -> int:
    """The first stage that tuning, objective or new weights of the backbone touch; what lies before it is frozen for
    good, and states can be kept.

    Raises:
        SettingsError: the objective, or what is new in the backbone, needs a stage to move that is kept frozen.
    """
    stages, new = len(backbone.stages), backbone.learns_at
    moves, needs = tuning.first_stage(stages), objective.first_stage(stages)
    if new is not None and new < moves:
        raise SettingsError(
            f"the backbone has new weights in stage {new + 1} of {stages}, {backbone.stages[new].name}, which do "
            f"nothing before they learn, and the tuning moves nothing before stage {moves + 1}. Choose a tuning that "
            "moves more, such as partial or full, or leave backbone.pool = attention out."
        )
    if needs < moves:
        raise SettingsError(
            f"the objective works on stage {needs + 1} of {stages}, the tuning moves nothing before stage {moves + 1}: "
            "it would train nothing. Choose a tuning that moves more, such as full."
        )
    return int(min(moves, needs, stages if new is None else new))


def predict_validation(context: FitContext, model: Model, begun: Beginning) -> Prediction | None:
    """The finished prediction of a trained model for the validation part, without calibration, in its order.

    It is made as the training validates: from the states that are kept, with nothing to be set up. None where examples
    are cut into windows, which must be put together again.
    """
    if context.windows is not None:
        return None
    device, data, rows = pick_device(), context.read, context.read.split.val
    order = np.argsort(lengths_of(model.backbone, data.examples, rows), kind="stable")
    head_inputs, size = data.task.inputs(data.examples), usual_batch_size(device)
    stream = Stream(
        "validation",
        rows[order],
        data.targets,
        begun.source,
        size,
        context.plan.seed,
        head_inputs=head_inputs,
        target_kinds=data.task.target_kinds,
    )
    forward = Forward(model, begun.start, device, precision_in_use(model.execution, device))
    found = Validation(model, stream, forward, MicroBatches(0, context.reporter), ProcessGroup()).prediction()
    return found.take(np.argsort(order))


class _Measure:
    """Relative gradients, measured when they are first asked for."""

    def __init__(self, model: Model, stream: Stream, boundary: int) -> None:
        self.model, self.stream, self.boundary = model, stream, boundary
        self.found: Sequence[float] = ()

    def __call__(self) -> Sequence[float]:
        self.found = self.found or relative_gradients(self.model, self.stream, self.boundary)
        return self.found

    def decisions(self) -> tuple[Decision, ...]:
        """The measured norms, if there are any."""
        if not self.found:
            return ()
        named = zip(self.model.backbone.stages, self.found)
        value = ", ".join(f"{stage.name} {norm:.2g}" for stage, norm in named)
        reason = f"||g|| / ||w|| of each stage on {BATCHES} training batches: the stages' rates are in proportion to it"
        return (Decision(what="relative gradient norms", value=value, reason=reason),)


def _streams(context: FitContext, model: Model, recipe: Recipe, begun: Beginning) -> tuple[Stream, Stream]:
    """All labelled training rows, and the validation part by the shortest first."""
    data, train = context.read, context.read.split.train
    head_inputs = data.task.inputs(data.examples)
    lengths = lengths_of(model.backbone, data.examples, np.arange(len(data.examples)))
    source = Stream(
        SOURCE,
        train,
        data.targets,
        begun.source,
        recipe.batch_size,
        context.plan.seed,
        begun.augmentation,
        head_inputs,
        lengths,
        begun.views,
        origins=lambda rows: data.examples.take(rows).origins(),
        tiled=tiles_of(data.examples),
        target_kinds=data.task.target_kinds,
    )
    in_order = by_length(data.split.val, lengths)
    return source, replace(source, name="validation", rows=in_order, augmentation=None, views=())


def _target_stream(context: FitContext, target: EmbeddedTarget, model: Model, source: Stream, start: int) -> Stream:
    """All target examples; they have no targets."""
    rows, examples = np.arange(len(target.pooled)), target.data.examples
    return replace(
        source,
        name=TARGET,
        rows=rows,
        targets={},
        source=target_source(context, target, context.backbone, start),
        head_inputs=context.data.task.inputs(examples),
        lengths=lengths_of(model.backbone, examples, rows),
        views=(),
        origins=lambda some: examples.take(some).origins(),
        tiled=None,
    )


def _loop_plan(
    context: FitContext, recipe: Any, rates: Sequence[Rate], boundary: int, budget: float | None, epochs: int | None
) -> TrainingPlan:
    plan = context.plan
    pretrained = recipe.start == "pretrained" and plan.weights != "random"
    objective = _objective(context, recipe)
    calibrated = int(epochs is None)  # where a search fixes their number, it keeps the time for the calibration itself
    latest = TARGET in objective.streams  # the source's validation part does not say which epoch the target likes best
    return TrainingPlan(
        objective, recipe, rates, boundary, plan.seed, budget, epochs, calibrated, pretrained=pretrained, latest=latest
    )


def _objective(context: FitContext, tuning: Any) -> Any:
    """The plan's; for the baseline from scratch the task's loss alone in place of one that needs pretrained weights."""
    objective = context.objective
    baseline = tuning.start == "random" and context.tuning.start != "random"
    return registry.plugin("objectives", "supervised")() if baseline and objective.anchored else objective


def data_identity(context: FitContext) -> str:
    """A hash of the plan and of all data that a training sees: another label makes it another one."""
    data = context.read
    targets = {name: kind_of(name, data.task.target_kinds).identity(values) for name, values in data.targets.items()}
    parts = {name: rows.tolist() for name, rows in data.parts().items()}
    return hash_json([context.plan.model_dump(mode="json"), data.keys, targets, parts])


def _identity(context: FitContext, model: Model, tuning: Any) -> str:
    """A hash of all that decides a training, so that one with a corrected label does not go on from the wrong one."""
    weights = [model.backbone.weights_hash(), state_hash(model.heads.state_dict())]
    return hash_json([data_identity(context), tuning.model_dump(), weights])


def what_was_kept(progress: Progress | None) -> str:
    """A sentence for the report on a training that was broken off; empty for any other, and for none."""
    if progress is None or not progress.broken_off:
        return ""
    return f"STOPPED EARLY: {progress.stopped} The weights are the best until then, of epoch {progress.best_epoch + 1}."


def fault_of(progress: Progress | None) -> str:
    """The reason, for the record, why a training was broken off; empty for any other, and for none."""
    if progress is None or not progress.broken_off:
        return ""
    return f"{progress.stopped} The best weights until then, of epoch {progress.best_epoch + 1}, are kept"


def require_whole(progress: Progress | None) -> None:
    """Raises TrainingError where a training was broken off."""
    if progress is not None and progress.broken_off:
        raise TrainingError(progress.stopped)
