"""Validation after each epoch: a pass over rows that are not trained on, batch by batch."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from headstart.contracts.model import Learner, rest
from headstart.contracts.task import Tensors
from headstart.engine.process_group import ProcessGroup
from headstart.engine.streams import Stream
from headstart.engine.training.finite import BrokenOffError, modules_of, watched
from headstart.engine.training.micro_batches import Batches, MicroBatches
from headstart.engine.training.prefetcher import Prefetcher

T = TypeVar("T")
"""What is found in a batch beside its loss."""


class Validated(NamedTuple):
    """Result of a pass over the validation examples."""

    loss: float
    """That of all examples: a mean over them, or what their sums make."""
    metric: float
    """The task's primary one; NaN without a task."""
    cost: float
    """What the best epoch has the lowest of: the loss, or what `Task.chosen_by` says."""
    monitors: Mapping[str, float] = {}
    """What was looked at beside them, by name."""


class Part(NamedTuple, Generic[T]):
    """Result of a batch, or of a part of one."""

    examples: int
    loss: float
    """Of the part's examples."""
    found: T
    sums: Tensors = {}
    """What the losses of a task are made of, in float64; empty where they are means over examples."""


class Validator(ABC, Generic[T]):
    """Judges in evaluation mode; several processes share the batches."""

    def __init__(self, learner: Learner, stream: Stream, micro: MicroBatches, processes: ProcessGroup) -> None:
        """Judge `learner` as it stands on all rows of `stream`."""
        self.learner, self.stream = learner, stream
        self.micro, self.processes = micro, processes

    def __call__(self, epoch: int = 0, steps: int = 0) -> Validated:
        """The whole pass, after an epoch of that number and so many steps.

        Raises:
            BrokenOffError: the loss is not finite, or the task says that training has collapsed.
        """
        parts = self._parts()
        loss = self._loss(parts)
        if not math.isfinite(loss):
            raise BrokenOffError(
                f"the validation loss became {loss} in epoch {epoch + 1}{self._place()}. Try a lower learning rate."
            )
        found = [part.found for part in parts]
        self._require_alive(found, epoch, steps)
        return self._validated(loss, found)

    def cost(self) -> float:
        """Return the cost, which is lowest in the best epoch; infinite where the loss is not finite."""
        try:
            return self().cost
        except BrokenOffError:
            return math.inf

    def estimated_seconds(self) -> float:
        """About how long a pass takes, by the batch in its middle the second time: texts come by their lengths."""
        rest(self.learner)
        batches = self.stream.in_sequence()
        middle = batches[len(batches) // 2]
        for _ in range(2):
            began = time.monotonic()
            self.micro.run(self._batches(middle), self._judged)
        took = time.monotonic() - began
        return took * sum(map(self.stream.work, batches)) / self.stream.work(middle) / self.processes.size

    def _loss(self, parts: Sequence[Part[T]]) -> float:
        """The loss of all parts."""
        return sum(part.examples * part.loss for part in parts) / sum(part.examples for part in parts)

    def _require_alive(self, found: Sequence[T], epoch: int, steps: int) -> None:
        """Raises BrokenOffError where training has ended in a state that it does not leave."""

    @abstractmethod
    def _validated(self, loss: float, found: Sequence[T]) -> Validated:
        """Return what the whole pass came to, by what was found in its parts, in the order of the stream."""

    @abstractmethod
    def _batches(self, rows: np.ndarray) -> Batches:
        """Return what some rows (batch,) are judged by, from each stream."""

    @abstractmethod
    def _part(self, batches: Batches) -> Part[T]:
        """Judges what `_batches` returned, or a part of it."""

    def _place(self) -> str:
        """Judge once more, and say of which examples the loss is not finite and where it ceased to be."""
        rest(self.learner)
        batches = self.stream.in_sequence()
        own = next(filter(None, (self._fault_in(batches[number]) for number in self._own(batches))), "")
        return next(filter(None, self.processes.gathered(own)), "")

    def _fault_in(self, rows: np.ndarray) -> str:
        with watched(modules_of(self.learner)) as watch:
            parts = self.micro.run(self._batches(rows), self._judged)
        if all(math.isfinite(part.loss) for part in parts):
            return ""
        return f" ({self.stream.named(rows)}); it first appeared in {watch.forward or 'the loss itself or the input'}"

    def _parts(self) -> list[Part[T]]:
        rest(self.learner)
        batches = self.stream.in_sequence()
        own = self._own(batches)
        made = Prefetcher([partial(self._batches, batches[number]) for number in own])
        judged = {number: self.micro.run(batch, self._judged) for number, batch in zip(own, made)}
        of_all = {number: parts for one in self.processes.gathered(judged) for number, parts in one.items()}
        return [part for number in sorted(of_all) for part in of_all[number]]

    def _own(self, batches: Sequence[np.ndarray]) -> range:
        """The numbers of the batches that this process judges."""
        return range(self.processes.rank, len(batches), self.processes.size)

    def _judged(self, parts: Sequence[Batches]) -> list[Part[T]]:
        return [self._part(part) for part in parts]
