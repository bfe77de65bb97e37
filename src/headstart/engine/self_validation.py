"""Validation without labels: the objective's own loss on rows held out, and how far their embeddings are spread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.model import Model
from headstart.contracts.objective import itself
from headstart.engine.collapse import RANK, SPREAD
from headstart.engine.forward import Forward
from headstart.engine.micro_batches import Batches
from headstart.engine.precision import precision_in_use
from headstart.engine.step_batches import batches_of
from headstart.engine.stepping import Moment, Stepper
from headstart.engine.streams import Stream, ahead
from headstart.engine.validation import Validated, Validation, Validator
from headstart.kernel.errors import TrainingError
from headstart.numerics.spread import effective_rank, feature_std

Watch = Callable[[], Mapping[str, float]]
"""What else is looked at after an epoch, by name; the learner is in evaluation mode."""

OUTSET = Moment(0, 0, 0.0)
"""When every validation takes place, so that it draws the same views and masks each time."""


def nothing_more() -> Mapping[str, float]:
    """A `Watch` that looks at nothing."""
    return {}


def validator(
    stepper: Stepper, validation: Stream | Mapping[str, Stream], boundary: int, watch: Watch = nothing_more
) -> Validator:
    """What judges a training: labels where its learner has a task, else its objective. Raises TrainingError."""
    if not isinstance(validation, Stream):
        return SelfValidation(stepper, validation, watch)
    model = stepper.model
    if not isinstance(model, Model):
        raise TrainingError("a learner without a task cannot be judged by labels: give the objective's own streams")
    device = stepper.forward.device
    forward = Forward(model, boundary, device, precision_in_use(model.execution, device))
    return Validation(model, validation, forward, stepper.micro, stepper.processes)


class _Part(NamedTuple):
    rows: int
    loss: float
    embeddings: np.ndarray
    """(rows, width) float32, of the inputs as they are."""


class SelfValidation:
    """Validates in evaluation mode; several processes share the batches, each of which has its own negatives."""

    def __init__(self, stepper: Stepper, streams: Mapping[str, Stream], watch: Watch = nothing_more) -> None:
        """Validate on all rows of `streams`, which are the objective's."""
        self.stepper, self.streams, self.watch = stepper, streams, watch
        self.stream = next(iter(streams.values()))

    def __call__(self) -> Validated:
        """The whole pass. Raises TrainingError on a loss that is not finite."""
        parts = self._parts()
        rows = sum(part.rows for part in parts)
        loss = sum(part.rows * part.loss for part in parts) / rows if rows else math.nan
        if not math.isfinite(loss):
            raise TrainingError(f"the validation loss became {loss}")
        embeddings = torch.from_numpy(np.concatenate([part.embeddings for part in parts]))
        spread = {SPREAD: feature_std(embeddings), RANK: effective_rank(embeddings)}
        return Validated(loss, math.nan, loss, {**spread, **self.watch()})

    def losses(self) -> np.ndarray:
        """(batches,) mean loss of each batch, in the order of the streams; not finite where that is what it is."""
        return np.array([part.loss for part in self._parts()])

    def estimated_seconds(self) -> float:
        """About how long a pass takes, by its first batch the second time."""
        self._rest()
        batches = self.stream.in_sequence()
        for _ in range(2):
            began = time.monotonic()
            self.stepper.micro.run(self._batches(batches[0]), self._judged)
        return (time.monotonic() - began) * math.ceil(len(batches) / self.stepper.processes.size)

    def _parts(self) -> list[_Part]:
        self._rest()
        processes, batches = self.stepper.processes, self.stream.in_sequence()
        own = range(processes.rank, len(batches), processes.size)
        made = ahead([partial(self._batches, batches[number]) for number in own])
        found = {number: self.stepper.micro.run(batch, self._judged) for number, batch in zip(own, made)}
        of_all = {number: parts for one in processes.gathered(found) for number, parts in one.items()}
        return [part for number in sorted(of_all) for part in of_all[number]]

    def _rest(self) -> None:
        model = self.stepper.model
        for module in (model.backbone.module, model.heads, model.additions):
            module.eval()

    def _batches(self, rows: np.ndarray) -> Batches:
        """The views that the streams show in the first epoch, and the inputs as they are under the name ''."""
        plain = replace(self.stream, augmentation=None)
        return batches_of({**self.streams, "": plain}, dict.fromkeys((*self.streams, ""), rows), 0)

    def _judged(self, parts: Sequence[Batches]) -> list[_Part]:
        return [self._part(part) for part in parts]

    def _part(self, batches: Batches) -> _Part:
        stepper = self.stepper
        batches = {name: batch.to(stepper.forward.device) for name, batch in batches.items()}
        plain = batches.pop("")
        with torch.no_grad():
            step = replace(stepper.step(batches, OUTSET), gathered=itself)
            losses: Mapping[str, Tensor] = stepper.objective.losses(step)
            loss = sum(term.item() for term in losses.values())
            embeddings = stepper.forward.features(plain).pooled
        return _Part(len(plain.rows), loss, embeddings.float().cpu().numpy())
