"""The forward pass of a training: from a batch to features and outputs, in one precision, on one device."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from headstart.contracts.backbone import require_width
from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.generation import Drafts
from headstart.contracts.head_shape import Bottleneck, proper
from headstart.contracts.model import Learner
from headstart.contracts.prediction import Prediction
from headstart.engine.frozen.feature_spec import suffix
from headstart.engine.training.precision import Precision, computing_in
from headstart.kernel.errors import TrainingError


class Forward:
    """A model from a boundary on. What comes out is float32 whatever the precision: losses and metrics are."""

    drafts = False
    """Whether predictions may be quick ones: while a training is watched."""

    def __init__(self, model: Learner, boundary: int, device: torch.device, precision: Precision) -> None:
        """Shares the model's live weights; past the last stage batches hold pooled features."""
        self.model, self.device, self.precision = model, device, precision
        self.pooled = boundary > len(model.backbone.stages)
        self.suffix = suffix(model.backbone, "pooled" if model.task is None else model.task.needs.features, boundary)

    def computing(self) -> AbstractContextManager[object]:
        """Within it products are computed in the forward pass's precision."""
        return computing_in(self.precision, self.device)

    def features(self, batch: Batch) -> Features:
        """Runs the backbone from the boundary on, and the bottleneck where the head has one."""
        if self.pooled:
            found = Features(batch.state.hidden.float())
        else:
            with self.computing():
                found = self.model.backbone.features(self.suffix(batch.state))
            require_width(found.pooled, len(batch.state.hidden), self.model.backbone)
        head = None if self.model.task is None else self.model.heads["head"]
        if isinstance(head, Bottleneck):
            with self.computing():
                found = replace(found, pooled=head.layer(found.pooled))
        return found.map(_as_float32)

    def outputs(self, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        """Runs the task's head on what `features` gave. Raises TrainingError where there is no task."""
        if self.model.task is None:
            raise TrainingError("the objective needs the outputs of a head, but there is no task")
        with self.computing():
            found = self.model.task.forward(proper(self.model.heads["head"]), features, batch.head_inputs)
        return {name: _as_float32(value) for name, value in found.items()}

    def predict(self, features: Features, batch: Batch) -> Prediction:
        """Decode the task's predictions, before calibration, quickly where it can. Raises TrainingError without one."""
        task = self.model.task
        if task is None:
            raise TrainingError("there is no task, so nothing can be predicted")
        decode = task.draft if self.drafts and isinstance(task, Drafts) else task.predict
        with self.computing():
            return decode(proper(self.model.heads["head"]), features, batch.head_inputs)


def _as_float32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def channels_last(batch: Batch) -> Batch:
    """The batch with channels innermost in memory where it has some: convolutions run up to several times as fast."""
    hidden = batch.state.hidden
    if hidden.ndim != 4 or not hidden.is_floating_point():
        return batch
    return replace(batch, state=replace(batch.state, hidden=hidden.contiguous(memory_format=torch.channels_last)))
