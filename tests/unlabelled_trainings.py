"""Trainings of a tiny network without labels through the real loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.format import Columns
from headstart.contracts.model import Encoder
from headstart.contracts.objective import TARGET, TARGET_AGAIN, Objective, Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop
from headstart.engine.training.self_validation import Watch, nothing_more
from headstart.engine.training.training_plan import TrainingPlan
from headstart.objectives.simclr import SimCLR
from small_trainings import Normalised
from tiny_backbone import TinyBackbone, numeric_examples

TRAIN, HELD_OUT, STAGES = np.arange(64), np.arange(64, 96), 3
COURSE = Recipe(
    epochs=3, batch_size=16, learning_rate=0.01, head_learning_rate=0.01, precision="float32", renew_statistics=True
)


class Pulled(Objective):
    """Pulls two views of an input together and nothing apart: what it learns is to say the same of everything."""

    streams: ClassVar[tuple[str, ...]] = (TARGET, TARGET_AGAIN)

    def additions(self, backbone: Backbone) -> Mapping[str, nn.Module]:
        return {"bias": nn.Linear(backbone.width, 2)}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        one, other = (step.features(step.batches[name]).pooled for name in self.streams)
        apart = (one - other).square().sum(dim=1).mean() + 0 * step.additions["bias"](one).sum()
        return {"apart": 10 * apart}


class Shaken:
    """A view of rows of numbers: each moved at random, as its seed has it."""

    modalities, moves, mixes = ("table",), False, False

    def __init__(self, far: float = 0.2) -> None:
        self.far = far

    def first_stage(self, stages: int) -> int:
        return 0

    def mixable(self, kind: Any) -> bool:
        return True

    def move(self, kind: Any, values: Tensor, seeds: Any, size: Any) -> Tensor:
        return values

    def mix(self, batch: Any, seeds: Any, kinds: Any) -> Any:
        return batch

    def view(self, state: State, seeds: Any) -> State:
        noise = [np.random.default_rng(seed).normal(size=state.hidden.shape[1]) for seed in seeds]
        return State(state.hidden + self.far * torch.from_numpy(np.stack(noise)).float())


def unlabelled_loop(
    objective: Any = None,
    *,
    backbone: TinyBackbone | None = None,
    course: Recipe = COURSE,
    checkpoint: CheckpointFile | None = None,
    watch: Watch = nothing_more,
    rounds: int = 1,
    far: float = 0.2,
    **plan: Any,
) -> Loop:
    """A training of all stages on shaken rows of numbers."""
    features = np.random.default_rng(0).normal(size=(96, 4))
    examples, backbone = numeric_examples(features, [0] * 96), backbone or Normalised()
    objective = objective or SimCLR(hidden=16, width=8, batch_norm=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        additions = nn.ModuleDict(dict(objective.additions(backbone)))
    source: Any = PreparedInputs(backbone, examples)

    def streams(rows: np.ndarray) -> dict[str, Stream]:
        follows = {TARGET_AGAIN: TARGET}
        shaken: Any = Shaken(far)
        return {
            name: Stream(
                name, rows, {}, source, course.batch_size, 0, shaken, follows=follows.get(name, ""), rounds=rounds
            )
            for name in objective.streams
        }

    rates = [Rate(stage, 1.0) for stage in (-1, *range(STAGES))]
    given = TrainingPlan(objective, course, rates, 0, 0, latest=True, **plan)
    encoder = Encoder(backbone, Columns(), additions=additions)
    return Loop(encoder, given, streams(TRAIN), streams(HELD_OUT), checkpoint=checkpoint, watch=watch)
