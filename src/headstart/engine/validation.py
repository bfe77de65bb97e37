"""Validation: the loss and the primary metric of a model on examples that it is not trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch

from headstart.contracts.carriers import Batch, Prediction
from headstart.contracts.model import Model
from headstart.engine.forward import Forward, channels_last
from headstart.engine.micro_batches import Batches, MicroBatches
from headstart.engine.streams import Stream, ahead
from headstart.engine.together import Together
from headstart.kernel.errors import TrainingError

TIE = 1e-6
"""Of epochs with the same metric the one with the least loss is taken: so little of it counts."""


class Validated(NamedTuple):
    """What a pass over the validation examples came to."""

    loss: float
    """The mean over the examples, or over what the task counts by."""
    metric: float
    """The task's primary one; NaN without a task."""
    cost: float
    """What the best epoch has the lowest of: the loss, or what `Task.chosen_by` says."""
    monitors: Mapping[str, float] = {}
    """What was looked at beside them, by name."""


class Validator(Protocol):
    """What judges a training after each epoch."""

    stream: Stream
    """Of the rows that it judges on."""

    def __call__(self) -> Validated:
        """A whole pass. Raises TrainingError on a loss that is not finite."""
        ...

    def losses(self) -> np.ndarray:
        """(batches,) mean loss of each batch; not finite where that is what it is."""
        ...

    def estimated_seconds(self) -> float:
        """About how long a pass takes."""
        ...


class _Part(NamedTuple):
    weight: float
    loss: float
    prediction: Prediction


class Validation:
    """Validates in evaluation mode; several processes share the batches."""

    def __init__(
        self, model: Model, stream: Stream, forward: Forward, micro: MicroBatches, processes: Together
    ) -> None:
        """Validate on all rows of `stream`."""
        self.model, self.stream, self.forward = model, stream, forward
        self.micro, self.processes = micro, processes

    def __call__(self) -> Validated:
        """The whole pass. Raises TrainingError on a loss that is not finite."""
        parts = self._parts()
        weight = sum(part.weight for part in parts)
        loss = sum(part.weight * part.loss for part in parts) / weight if weight else math.nan
        if not math.isfinite(loss):
            raise TrainingError(f"the validation loss became {loss}")
        truth = {name: values[self.stream.rows] for name, values in self.stream.targets.items()}
        task = self.model.task
        primary = task.metrics()[0]
        metric = primary.score(truth, self._finished(parts))
        if task.chosen_by == "loss":
            return Validated(loss, metric, loss)
        return Validated(loss, metric, (-metric if primary.greater_is_better else metric) + TIE * loss)

    def losses(self) -> np.ndarray:
        """(batches,) mean loss of each batch, in the order of the stream; not finite where that is what it is."""
        return np.array([part.loss for part in self._parts()])

    def prediction(self) -> Prediction:
        """Finished without calibration, in the order of the stream's rows."""
        return self._finished(self._parts())

    def estimated_seconds(self) -> float:
        """About how long a pass takes, by its first batch the second time."""
        self.model.eval()
        batches = self.stream.in_sequence()
        for _ in range(2):
            began = time.monotonic()
            self.micro.run({"": self._batch(batches[0])}, self._judged)
        return (time.monotonic() - began) * math.ceil(len(batches) / self.processes.size)

    def _parts(self) -> list[_Part]:
        self.model.eval()
        batches = self.stream.in_sequence()
        own = range(self.processes.rank, len(batches), self.processes.size)
        made = ahead([partial(self._batch, batches[number]) for number in own])
        found = {number: self.micro.run({"": batch}, self._judged) for number, batch in zip(own, made)}
        of_all = {number: parts for one in self.processes.gathered(found) for number, parts in one.items()}
        return [part for number in sorted(of_all) for part in of_all[number]]

    def _finished(self, parts: Sequence[_Part]) -> Prediction:
        return self.model.task.finish(Prediction.join([part.prediction for part in parts]), {})

    def _batch(self, rows: np.ndarray) -> Batch:
        return channels_last(self.stream.batch(rows))

    def _judged(self, parts: Sequence[Batches]) -> list[_Part]:
        return [self._part(batch) for part in parts for batch in part.values()]

    def _part(self, batch: Batch) -> _Part:
        batch, task = batch.to(self.forward.device), self.model.task
        with torch.no_grad():
            outputs = self.forward.outputs(self.forward.features(batch), batch)
            loss = sum(term.item() for term in task.losses(outputs, batch).values())
        return _Part(task.weight(batch), loss, task.decode(outputs))
