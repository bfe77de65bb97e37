"""Trainings of a tiny network through the real loop, and what goes wrong with them: no memory, a kill, a NaN."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from head_shapes import SHAPES
from headstart.contracts.backbone import state_hash
from headstart.contracts.carriers import State
from headstart.contracts.format import Columns
from headstart.contracts.head_shape import HeadShape, additions_for
from headstart.contracts.model import Model
from headstart.contracts.objective import Objective, Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training import loop as loop_module
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop, TrainingPlan
from headstart.objectives.l2_sp import L2SP
from headstart.objectives.supervised import Supervised
from headstart.tasks.classification.task import Classification
from tiny_backbone import TinyBackbone, numeric_examples

RECIPE = Recipe(
    epochs=4,
    batch_size=16,
    learning_rate=0.01,
    head_learning_rate=0.02,
    patience=9,
    precision="float32",
    renew_statistics=True,
)
TRAIN, VALIDATION, UNLABELLED = np.arange(64), np.arange(64, 96), np.arange(64, 95)
STAGES = 3


class Normalised(TinyBackbone):
    """With LayerNorm in place of BatchNorm, and no dropout: an example does not see the others of its batch."""

    def __init__(self, inputs: int = 4, seed: int = 0, dropout: float = 0.0) -> None:
        super().__init__(inputs, seed, dropout)
        for stage in list(self.module)[:2]:
            stage[1] = nn.LayerNorm(8)
        self.stages = tuple(self.stage_at(k) for k in range(STAGES))


class TooLarge(Supervised):
    """Has no memory for more than `most` examples."""

    most: int = 4
    """Examples that fit."""
    text: str = (
        "[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    )
    """What is said then; 'cuda' for the error of a GPU."""

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        found = super().losses(step)
        if len(step.batches["source"].rows) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory") if self.text == "cuda" else RuntimeError(self.text)
        return found


class NotANumber(Supervised):
    """The loss is NaN from the middle of the training on, in batches that have the row number `row`."""

    row: int = 0
    """Of the training examples."""

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        bad = step.progress > 0.4 and self.row in step.batches["source"].rows.tolist()
        return {name: loss * (torch.nan if bad else 1.0) for name, loss in super().losses(step).items()}


class OwnGradients(Objective):
    """Fills the gradients itself."""

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:
        for parameter, gradient in zip(parameters, torch.autograd.grad(list(losses.values()), parameters)):
            parameter.grad = gradient
        return None


class OwnTooLarge(OwnGradients, TooLarge):
    """Both."""


def small_loop(
    recipe: Recipe = RECIPE,
    *,
    objective: Any = None,
    backbone: TinyBackbone | None = None,
    checkpoint: CheckpointFile | None = None,
    first: int = 0,
    stored: bool = False,
    **plan: Any,
) -> Loop:
    """A training in which the stages from `first` on move; `stored`: from the kept states before that stage."""
    features = np.random.default_rng(0).normal(size=(96, 4))
    examples = numeric_examples(features, (features[:, 0] * features[:, 1] > 0).astype(int).tolist())
    task, backbone = Classification().bind(examples, SHAPES), backbone or Normalised()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        heads = nn.ModuleDict({"head": task.head(backbone)})
        additions = nn.ModuleDict(additions_for(objective or Supervised(), backbone, task, HeadShape()))
    model = Model(backbone, task, heads, Columns(), {"runner": "eager"}, additions=additions)
    source: Any = PreparedInputs(backbone, examples)
    boundary = first if stored else 0
    if boundary:
        backbone.module.eval()
        with torch.no_grad():
            states = backbone.segment(0, boundary)(source(np.arange(96))).hidden
        source = lambda rows: State(states[torch.from_numpy(rows)])  # noqa: E731
    labelled = Stream("source", TRAIN, task.targets(examples), source, recipe.batch_size, 0)
    validation = replace(labelled, name="validation", rows=VALIDATION)
    rates = [Rate(stage, 1.0) for stage in (-1, *range(first, STAGES))]
    given = TrainingPlan(objective or Supervised(), recipe, rates, boundary, 0, **plan)
    target = replace(labelled, name="target", rows=UNLABELLED, targets={})
    return Loop(model, given, {"source": labelled, "target": target}, validation, checkpoint=checkpoint)


def weights(loop: Loop) -> str:
    """A hash of all that a training may change."""
    return state_hash({**loop.model.backbone.module.state_dict(), **loop.model.heads.state_dict()})


def changed(**fields: Any) -> Recipe:
    """The recipe with other fields."""
    return RECIPE.model_copy(update=fields)


KINDS = {
    "plain": small_loop,
    "batchnorm_and_dropout": lambda **given: small_loop(backbone=TinyBackbone(), **given),
    "stored_prefix": partial(small_loop, first=1, stored=True),
    "averaging": partial(small_loop, changed(averaging=0.9)),
    "soup_and_interpolation": partial(small_loop, changed(soup=True, interpolate=True)),
    "everything": lambda **given: small_loop(
        changed(averaging=0.8, soup=True, interpolate=True, dropout=0.3, precision="bfloat16"), **given
    ),
    "l2_sp": partial(small_loop, objective=L2SP()),
    "own_gradients": partial(small_loop, objective=OwnGradients()),
    "no_memory": partial(small_loop, objective=TooLarge()),
}
"""Trainings of every kind, to be killed."""


def train(kind: str, folder: Path, killed_at: int | None = None) -> Loop:
    """Train with a checkpoint after every step; this very process is killed before step number `killed_at`."""
    loop_module.CHECKPOINT_SECONDS = 0.0
    loop = KINDS[kind](checkpoint=CheckpointFile(folder / "a.checkpoint", "same"))
    step, done = loop.step, 0

    def counted(batches: Any) -> None:
        nonlocal done
        if done == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        step(batches)

    loop.step = counted  # type: ignore[method-assign]
    loop.run()
    return loop
