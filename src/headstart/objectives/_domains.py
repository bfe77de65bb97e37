"""Both domains' way through a model, for objectives that adapt it: what each part of a batch gives, and what all do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from headstart.contracts.objective import SOURCE, TARGET, Step


class Pass(NamedTuple):
    """A stream's way through the model."""

    features: Tensor
    """(batch, width), as the head reads them."""
    outputs: Mapping[str, Tensor]

    @property
    def logits(self) -> Tensor:
        """(batch, classes)"""
        return self.outputs["logits"]


def run(step: Step, stream: str) -> Pass:
    """Run the model and its head on a stream."""
    batch = step.batches[stream]
    features = step.features(batch)
    return Pass(features.pooled, step.outputs(features, batch))


def supervised(step: Step) -> tuple[Pass, dict[str, Tensor]]:
    """Run the model on the labelled stream; return that, and the task's losses, each a scalar ()."""
    source = run(step, SOURCE)
    return source, dict(step.task_losses(source.outputs, step.batches[SOURCE]))


def aligned(step: Step) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return the whole batches' features of source and target, each (all, width), and the task's losses."""
    source, losses = supervised(step)
    target = step.features(step.batches[TARGET])
    return step.gathered(source.features), step.gathered(target.pooled), losses
