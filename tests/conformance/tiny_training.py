"""Short trainings of tiny models through the real loop, for every tuning and objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tiny_sequences import LetterBackbone, SequenceTask, words
from torch import Tensor, nn

from head_shapes import SHAPES
from headstart.contracts.backbone import Backbone, state_hash
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.head_shape import HeadShape, additions_for, shaped_head
from headstart.contracts.model import Model
from headstart.contracts.objective import KEPT, Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop, TrainingPlan
from headstart.engine.training.stepping import Moment
from headstart.tasks.classification.task import Classification
from tiny_backbone import TinyBackbone, numeric_examples

TRAIN, VALIDATION, UNLABELLED = np.arange(48), np.arange(48, 64), np.arange(64, 75)
OLD_CLASSES = 3
"""Classes that a backbone was trained on before."""
SHORT = {"epochs": 3, "batch_size": 16, "patience": 3, "learning_rate": 0.01, "head_learning_rate": 0.02}
"""What makes any recipe short."""


def classes() -> tuple[Backbone, Any, Examples]:
    """Three stages on rows of numbers, with BatchNorm and dropout, and one integer per row."""
    features = np.random.default_rng(0).normal(size=(80, 4))
    examples = numeric_examples(features, (features[:, 0] + features[:, 1] > 0).astype(int).tolist())
    return TinyBackbone(), Classification().bind(examples, SHAPES), examples


def sequences() -> tuple[Backbone, Any, Examples]:
    """Three stages on words, a tag per letter and two numbers per word."""
    return LetterBackbone(), SequenceTask(), words(80)


def loop_for(
    setting: tuple[Backbone, Any, Examples],
    objective: Any,
    recipe: Recipe,
    rates: Sequence[Rate],
    checkpoint: CheckpointFile | None = None,
    shape: HeadShape | None = None,
) -> Loop:
    """A loop whose model has the objective's additions, and a stream for each that the objective declares."""
    backbone, task, examples = setting
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = shape or HeadShape()
        heads = nn.ModuleDict({"head": shaped_head(task, backbone, shape)})
        backbone.source_head = nn.Linear(backbone.width, OLD_CLASSES)
        additions = nn.ModuleDict(additions_for(objective, backbone, task, shape))
    model = Model(backbone, task, heads, Columns(), {"runner": "eager"}, additions=additions, shape=shape)
    source, targets, head_inputs = (
        PreparedInputs(backbone, examples),
        task.targets(examples),
        task.inputs(examples),
    )
    old = {"label": np.arange(len(examples)) % OLD_CLASSES}
    streams = {
        name: Stream(name, TRAIN, targets, source, recipe.batch_size, 0, head_inputs=head_inputs)
        if name == "source"
        else Stream(name, UNLABELLED, old if name == KEPT else {}, source, recipe.batch_size, 0)
        for name in objective.streams
    }
    validation = Stream("validation", VALIDATION, targets, source, recipe.batch_size, 0, head_inputs=head_inputs)
    return Loop(model, TrainingPlan(objective, recipe, rates, 0, 0), streams, validation, checkpoint=checkpoint)


def first_step(loop: Loop) -> Step:
    """The step that the loop begins with."""
    batches = {name: stream.batch(stream.order(0)[0], 0) for name, stream in loop.streams.items()}
    return loop.stepper.step(batches, Moment(0, 0, 0.0))


def stage_state(backbone: Backbone, stage: int) -> Mapping[str, Tensor]:
    """Parameters and buffers of one stage."""
    state = backbone.module.state_dict()
    names = (*backbone.stages[stage].parameters, *backbone.stages[stage].buffers)
    return {name: state[name] for name in names if name in state}


def stage_hashes(backbone: Backbone) -> list[str]:
    """A hash of each stage."""
    return [state_hash(stage_state(backbone, stage)) for stage in range(len(backbone.stages))]


def model_hash(model: Model) -> str:
    """A hash of everything that a training may change."""
    return state_hash({**model.backbone.module.state_dict(), **model.heads.state_dict()})
