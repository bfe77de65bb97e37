"""Micro-batches: a batch that does not fit into the memory at once is run in parts.

The parts' gradients are added up with the weights that make their sum the gradient of the whole batch's mean loss, so
the effective batch, the schedule and the number of steps stay what they were. A loss that is no mean over examples has
the rows of all parts, by a pass before (`gathered_rows.py`). Only BatchNorm can tell the difference: where it
normalises by the batch, it does so by the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.carriers import Batch, Mixed
from headstart.kernel.errors import TrainingError
from headstart.kernel.progress import Reporter

T = TypeVar("T")
Batches = Mapping[str, Batch]
"""Stream name -> batch."""

NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""How the allocators that have no error of their own say it."""


class MicroBatches:
    """Runs batches whole for as long as they fit, and in halves of halves from then on."""

    def __init__(self, most: int, reporter: Reporter) -> None:
        """Begin with parts of some size.

        Args:
            most: the greatest number of examples of a stream that are run at once; 0 while there is no limit.
            reporter: is told of smaller parts.
        """
        self.most, self.reporter = most, reporter

    def run(self, batches: Batches, work: Callable[[Sequence[Batches]], T]) -> T:
        """Do `work` on the parts of the batches, again from the beginning with smaller ones where memory ran out.

        Raises:
            TrainingError: a single example does not fit.
        """
        while True:
            parts = divided(batches, self.most)
            try:
                return work(parts)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # past the except clause nothing refers to what the failed attempt has computed
            self._halve(max(_size(part) for part in parts))

    def _halve(self, size: int) -> None:
        if size <= 1:
            raise TrainingError(
                "the memory is too small for a single example. Train fewer stages (--tuning partial), "
                "make the inputs smaller, or use a machine with more memory."
            )
        self.most = (size + 1) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.reporter.say(f"Out of memory with {size} examples at once; continuing with {self.most} at a time")


def divided(batches: Batches, most: int) -> list[Batches]:
    """The batches in as few parts of near-equal size as have at most `most` examples of a stream each; 0: whole."""
    largest, smallest = _size(batches), min(len(batch.rows) for batch in batches.values())
    count = 1 if not most else min(-(-largest // most), smallest)
    if count == 1:
        return [batches]
    cuts = {name: np.array_split(np.arange(len(batch.rows)), count) for name, batch in batches.items()}
    return [
        {name: _part(batch, int(cuts[name][k][0]), int(cuts[name][k][-1]) + 1) for name, batch in batches.items()}
        for k in range(count)
    ]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return True for an error of torch that says that memory ran out, on a GPU or on the processor."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error).lower() for text in NO_MEMORY)


def _size(batches: Batches) -> int:
    return max(len(batch.rows) for batch in batches.values())


def _part(batch: Batch, start: int, stop: int) -> Batch:
    def cut(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: values[start:stop] for name, values in named.items()}

    mixed = None if batch.mixed is None else Mixed(cut(batch.mixed.targets), batch.mixed.weight)
    state = batch.state.map(lambda value: value[start:stop])
    part = replace(batch, state=state, targets=cut(batch.targets), rows=batch.rows[start:stop], mixed=mixed)
    return replace(part, head_inputs=cut(batch.head_inputs))
