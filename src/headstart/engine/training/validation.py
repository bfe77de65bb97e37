"""Validation: the loss and the primary metric of a model on examples that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import FromOutputs, MayCollapse, made_of_sums
from headstart.engine.process_group import ProcessGroup
from headstart.engine.streams import Stream
from headstart.engine.training.finite import BrokenOffError
from headstart.engine.training.forward import Forward, channels_last
from headstart.engine.training.micro_batches import Batches, MicroBatches
from headstart.engine.training.validator import Part, Validated, Validator

TIE = 1e-6
"""Of epochs with the same metric the one with the least loss is taken: so little of it counts."""


class Validation(Validator[Prediction]):
    """Judges by labels."""

    def __init__(
        self, model: Model, stream: Stream, forward: Forward, micro: MicroBatches, processes: ProcessGroup
    ) -> None:
        """Validate on all rows of `stream`."""
        super().__init__(model, stream, micro, processes)
        self.task, self.forward = model.task, forward

    def prediction(self) -> Prediction:
        """Finished without calibration, in the order of the stream's rows."""
        return self._finished([part.found for part in self._parts()])

    def _require_alive(self, found: Sequence[Prediction], epoch: int, steps: int) -> None:
        if isinstance(self.task, MayCollapse) and (fault := self.task.collapse(Prediction.join(found), epoch, steps)):
            raise BrokenOffError(fault)

    def _validated(self, loss: float, found: Sequence[Prediction]) -> Validated:
        truth = {name: values[self.stream.rows] for name, values in self.stream.targets.items()}
        evaluation = self.task.evaluation
        primary = evaluation.primary
        metric = primary.score(truth, self._finished(found))
        if evaluation.chosen_by == "loss":
            return Validated(loss, metric, loss)
        return Validated(loss, metric, (-metric if primary.greater_is_better else metric) + TIE * loss)

    def _loss(self, parts: Sequence[Part[Prediction]]) -> float:
        if not made_of_sums(self.task):
            return super()._loss(parts)
        sums = {name: torch.stack([part.sums[name] for part in parts]).sum(dim=0) for name in parts[0].sums}
        return sum(loss.item() for loss in self.task.losses_of(sums).values())

    def _finished(self, found: Sequence[Prediction]) -> Prediction:
        return self.task.evaluation.finish(Prediction.join(found), {})

    def _batches(self, rows: np.ndarray) -> Batches:
        return {self.stream.name: channels_last(self.stream.batch(rows))}

    def _part(self, batches: Batches) -> Part[Prediction]:
        batch = batches[self.stream.name].to(self.forward.device)
        with torch.no_grad():
            features = self.forward.features(batch)
            outputs, task = self.forward.outputs(features, batch), self.task
            found = task.sums(outputs, batch.targets) if made_of_sums(task) else {}
            losses = task.losses_of(found) if made_of_sums(task) else task.losses(outputs, batch.targets)
            loss = sum(term.item() for term in losses.values())
            sums = {name: values.cpu().double() for name, values in found.items()}
            if isinstance(task, FromOutputs):
                shown = task.predicted(outputs, batch.head_inputs)
            else:
                shown = self.forward.predict(features, batch)
            return Part(len(batch.rows), loss, shown, sums)
