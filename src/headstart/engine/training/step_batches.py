"""The batches of an epoch's steps, from every stream that an objective draws from, and of one epoch after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial

import numpy as np

from headstart.contracts.carriers import Batch
from headstart.engine.process_group import ProcessGroup
from headstart.engine.streams import Stream
from headstart.engine.training.checkpoint import Progress
from headstart.engine.training.forward import channels_last
from headstart.engine.training.prefetcher import Prefetcher


def step_batches(
    streams: Mapping[str, Stream], epoch: int, steps: range, processes: ProcessGroup
) -> Iterator[dict[str, Batch]]:
    """This process's share of each stream's batch, for some steps of an epoch; a shorter stream begins again."""
    orders = {name: stream.order(epoch) for name, stream in streams.items()}

    def make(step: int) -> dict[str, Batch]:
        rows = {name: processes.share(order[step % len(order)]) for name, order in orders.items()}
        return batches_of(streams, rows, epoch)

    return Prefetcher([partial(make, step) for step in steps])


class EpochBatches:
    """The batches of a training's epochs; the next one's are in the making while an epoch is judged."""

    def __init__(self, streams: Mapping[str, Stream], processes: ProcessGroup) -> None:
        """Begin with nothing in the making."""
        self.streams, self.processes = streams, processes
        self._coming: Iterator[dict[str, Batch]] | None = None

    def of(self, progress: Progress, until: int | None) -> Iterator[dict[str, Batch]]:
        """Of the epoch's steps that are to come, in a training that pauses when `until` epochs are done."""
        coming, self._coming, epoch = self._coming, None, progress.epoch
        steps = range(progress.step, progress.steps)
        yield from coming or step_batches(self.streams, epoch, steps, self.processes)
        if epoch + 1 < min(progress.epochs, until or progress.epochs):
            self._coming = step_batches(self.streams, epoch + 1, range(progress.steps), self.processes)

    def work(self, batches: Mapping[str, Batch]) -> float:
        """Return the relative cost of a step on these, the mean of a pass over the rows being 1."""
        return max(self.streams[name].work(batch.rows.numpy()) / self._mean[name] for name, batch in batches.items())

    @cached_property
    def _mean(self) -> dict[str, float]:
        return {
            name: float(np.mean([stream.work(self.processes.share(rows)) for rows in stream.order(0)]))
            for name, stream in self.streams.items()
        }

    def drop(self) -> None:
        """No epoch follows."""
        self._coming = None


def batches_of(streams: Mapping[str, Stream], rows: Mapping[str, np.ndarray], epoch: int) -> dict[str, Batch]:
    """A batch of each stream, of its `rows` (batch,), in an epoch's random views."""
    return {name: channels_last(stream.batch(rows[name], epoch)) for name, stream in streams.items()}
