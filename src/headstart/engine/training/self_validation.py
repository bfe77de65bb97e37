"""Validation without labels: the objective's own loss on rows held out, and how far their embeddings are spread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.model import Model
from headstart.engine.process_group import ALONE
from headstart.engine.streams import Stream
from headstart.engine.training.collapse import RANK, SPREAD
from headstart.engine.training.forward import Forward
from headstart.engine.training.gathered_rows import GatheredRows
from headstart.engine.training.micro_batches import Batches
from headstart.engine.training.precision import precision_in_use
from headstart.engine.training.step_batches import batches_of
from headstart.engine.training.stepping import Moment, Stepper
from headstart.engine.training.validation import Validation
from headstart.engine.training.validator import Part, Validated, Validator
from headstart.kernel.errors import TrainingError
from headstart.numerics.spread import effective_rank, feature_std

Watch = Callable[[], Mapping[str, float]]
"""What else is looked at after an epoch, by name; the learner is in evaluation mode."""

FIRST_MOMENT = Moment(0, 0, 0.0)
"""When every validation takes place, so that it draws the same views and masks each time."""


def nothing_more() -> Mapping[str, float]:
    """A `Watch` that looks at nothing."""
    return {}


def validator(
    stepper: Stepper, validation: Stream | Mapping[str, Stream], boundary: int, watch: Watch = nothing_more
) -> Validator[Any]:
    """Return the judge of a training: by labels where its learner has a task, else by its objective.

    Raises:
        TrainingError: a learner without a task, and no streams of its objective.
    """
    if not isinstance(validation, Stream):
        return SelfValidation(stepper, validation, watch)
    model = stepper.model
    if not isinstance(model, Model):
        raise TrainingError("a learner without a task cannot be judged by labels: give the objective's own streams")
    device = stepper.forward.device
    forward = Forward(model, boundary, device, precision_in_use(model.execution, device))
    return Validation(model, validation, forward, stepper.micro, stepper.processes)


class SelfValidation(Validator[np.ndarray]):
    """Judges by the objective; what is found of a part are the embeddings (rows, width) of its inputs as they are.

    Examples are compared with those of their batch, whichever of several processes judges it.
    """

    def __init__(self, stepper: Stepper, streams: Mapping[str, Stream], watch: Watch = nothing_more) -> None:
        """Validate on all rows of `streams`, which are the objective's."""
        super().__init__(stepper.model, next(iter(streams.values())), stepper.micro, stepper.processes)
        self.stepper, self.streams, self.watch = stepper, streams, watch
        self.gathered, self._looking = GatheredRows(ALONE), 0.0

    def estimated_seconds(self) -> float:
        """With what looking at the embeddings took the last time, as at the start of a pretraining."""
        return super().estimated_seconds() + self._looking

    def _validated(self, loss: float, found: Sequence[np.ndarray]) -> Validated:
        began = time.monotonic()
        embeddings = torch.from_numpy(np.concatenate(found))
        spread = {SPREAD: feature_std(embeddings), RANK: effective_rank(embeddings)}
        monitors = {**spread, **self.watch()}
        self._looking = time.monotonic() - began
        return Validated(loss, math.nan, loss, monitors)

    def _batches(self, rows: np.ndarray) -> Batches:
        """The views that the streams show in the first epoch, and the inputs as they are under the name ''."""
        plain = replace(self.stream, augmentation=None)
        return batches_of({**self.streams, "": plain}, dict.fromkeys((*self.streams, ""), rows), 0)

    def _judged(self, parts: Sequence[Batches]) -> list[Part[np.ndarray]]:
        sizes = [len(part[""].rows) for part in parts]
        self.gathered.begin(sum(sizes))
        if len(parts) > 1 and self.stepper.gathers:
            self.gathered.look(parts, self._part)
        found = []
        for number, part in enumerate(parts):
            self.gathered.enter(number, sizes[number])
            found.append(self._part(part))
        return found

    def _part(self, batches: Batches) -> Part[np.ndarray]:
        stepper = self.stepper
        batches = {name: batch.to(stepper.forward.device) for name, batch in batches.items()}
        plain = batches.pop("")
        with torch.no_grad():
            step = stepper.step(batches, FIRST_MOMENT, self.gathered)
            losses: Mapping[str, Tensor] = stepper.objective.losses(step)
            loss = sum(term.item() for term in losses.values())
            embeddings = stepper.forward.features(plain).pooled
        return Part(len(plain.rows), loss, embeddings.float().cpu().numpy())
